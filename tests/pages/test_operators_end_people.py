"""An operator who takes somebody's account out of use ends their sessions, in apps too."""

from tenants.models import RevokedSession, User
from tenants.services.sessions import entered_app, sid_of
from tests.pages.conftest import Person


def test_whoever_may_not_be_here_any_more_is_out_at_once(operator: Person, ada: Person) -> None:
    sid = sid_of(str(ada.browser.session.session_key))
    assert entered_app(ada.user, sid)
    path = f"/operator/admin/tenants/user/{ada.user.pk}/change/"
    assert operator.browser.post(path, {"_save": "Save"}).status_code == 302
    assert not User.objects.get(pk=ada.user.pk).is_active
    assert RevokedSession.objects.filter(sid=sid).exists()
    assert ada.browser.get("/settings/")["Location"].startswith("/accounts/login/")
