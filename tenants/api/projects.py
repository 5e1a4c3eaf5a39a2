"""What developers do: projects, revisions, releases."""

from django.conf import settings
from drf_spectacular.utils import extend_schema
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response

from tenants import access
from tenants.api.answers import (
    KEY,
    PAGE,
    AdoptionShape,
    OwnReleaseShape,
    ProjectShape,
    RevisionShape,
    UploadedShape,
    errors,
    page_of,
)
from tenants.api.base import Endpoint, person
from tenants.api.parsers import check_length
from tenants.api.requests import NewProject, NewRelease, NewRevision, ProjectChanges, ReleaseChanges
from tenants.api.shapes import (
    adoption_document,
    own_release_document,
    project_document,
    revision_document,
    uploaded_document,
)
from tenants.services import projects, publish, releases
from tenants.services.adoption import adoption_of
from tenants.services.idempotency import Answer


class Projects(Endpoint):
    area = "projects"

    @extend_schema(operation_id="projects_list", responses={200: page_of(ProjectShape), **errors()}, parameters=PAGE)
    def get(self, request: Request) -> Response:
        return self.pages(request, access.projects_of(person(request)), project_document)

    @extend_schema(
        operation_id="projects_create",
        request=NewProject,
        responses={201: ProjectShape, **errors(422)},
        parameters=[KEY],
    )
    def post(self, request: Request) -> Response:
        """Begin a project. Its slug is made now and never changes."""
        user, sent = person(request), self.body(request, NewProject)
        return self.once(request, lambda: Answer(201, project_document(publish.create_project(user, sent["name"]))))


class Project(Endpoint):
    area = "projects"

    @extend_schema(operation_id="projects_retrieve", responses={200: ProjectShape, **errors(404)})
    def get(self, request: Request, slug: str) -> Response:
        return Response(project_document(access.project_for(person(request), slug)))

    @extend_schema(
        operation_id="projects_partial_update",
        request=ProjectChanges,
        responses={200: ProjectShape, **errors(404, 422)},
        parameters=[KEY],
    )
    def patch(self, request: Request, slug: str) -> Response:
        """Another name (the slug stays), or whether it is looked after."""
        user = person(request)
        app, sent = access.project_for(user, slug), self.body(request, ProjectChanges)
        return self.once(request, lambda: Answer(200, project_document(projects.change_project(user, app, **sent))))

    @extend_schema(
        operation_id="projects_destroy", request=None, responses={204: None, **errors(404, 409)}, parameters=[KEY]
    )
    def delete(self, request: Request, slug: str) -> Response:
        """Give it up, with its revisions and one's own copy. Refused while others have copies."""
        user = person(request)
        app = access.project_for(user, slug)

        def act() -> Answer:
            projects.delete_project(user, app)
            return Answer(204, None)

        return self.once(request, act)


class Adoption(Endpoint):
    area = "projects"

    @extend_schema(operation_id="projects_adoption", responses={200: AdoptionShape, **errors(404)})
    def get(self, request: Request, slug: str) -> Response:
        """How many people have which version. Numbers, nothing about anybody."""
        return Response(adoption_document(adoption_of(access.project_for(person(request), slug))))


class Revisions(Endpoint):
    area = "projects"

    def get_parsers(self) -> list:  # type: ignore[type-arg]
        request = getattr(self, "request", None)
        return [MultiPartParser()] if request is None or request.method == "POST" else super().get_parsers()

    @extend_schema(
        operation_id="revisions_list", responses={200: page_of(RevisionShape), **errors(404)}, parameters=PAGE
    )
    def get(self, request: Request, slug: str) -> Response:
        app = access.project_for(person(request), slug)
        return self.pages(request, app.revisions.order_by("-created_at"), revision_document)

    @extend_schema(
        operation_id="revisions_create",
        request={"multipart/form-data": NewRevision},
        responses={202: UploadedShape, **errors(404, 409, 413, 422)},
        parameters=[KEY],
    )
    def post(self, request: Request, slug: str) -> Response:
        """Upload a bundle (a zip with a Spacefile at its top), have it built in one's own cloud, and run it in one's
        own copy there unless `install` is false."""
        user = person(request)
        app = access.project_for(user, slug)
        check_length(request, settings.BUNDLE_LIMIT_MIB * 1024**2, "A bundle")
        sent = self.body(request, NewRevision)
        upload = publish.accept_upload(sent["bundle"])
        as_of, is_to_run = sent.get("as_of"), sent["install"]

        def act() -> Answer:
            made = publish.add_revision(user, app, upload, as_of, is_to_run=is_to_run)
            return Answer(202, uploaded_document(*made))

        return self.once(request, act, asked=[upload.source, as_of, is_to_run])


class Revision(Endpoint):
    area = "projects"

    @extend_schema(operation_id="revisions_retrieve", responses={200: RevisionShape, **errors(404)})
    def get(self, request: Request, slug: str, revision_id: str) -> Response:
        return Response(revision_document(access.revision_for(person(request), slug, revision_id)))


class Releases(Endpoint):
    area = "projects"

    @extend_schema(
        operation_id="releases_list", responses={200: page_of(OwnReleaseShape), **errors(404)}, parameters=PAGE
    )
    def get(self, request: Request, slug: str) -> Response:
        app = access.project_for(person(request), slug)
        return self.pages(request, app.releases.order_by("-created_at"), own_release_document)

    @extend_schema(
        operation_id="releases_create",
        request=NewRelease,
        responses={201: OwnReleaseShape, **errors(404, 422)},
        parameters=[KEY],
    )
    def post(self, request: Request, slug: str) -> Response:
        """Let others install a revision; a listed release also shows it in the catalog."""
        user = person(request)
        app, sent = access.project_for(user, slug), self.body(request, NewRelease)
        sent["revision_id"] = sent.pop("revision")
        sent["discovery_text"] = sent.pop("discovery", None)
        return self.once(request, lambda: Answer(201, own_release_document(publish.publish_release(user, app, **sent))))


class OneRelease(Endpoint):
    area = "projects"

    @extend_schema(operation_id="releases_retrieve", responses={200: OwnReleaseShape, **errors(404)})
    def get(self, request: Request, slug: str, release_id: str) -> Response:
        return Response(own_release_document(access.release_for(person(request), slug, release_id)))

    @extend_schema(
        operation_id="releases_partial_update",
        request=ReleaseChanges,
        responses={200: OwnReleaseShape, **errors(404, 422)},
        parameters=[KEY],
    )
    def patch(self, request: Request, slug: str, release_id: str) -> Response:
        """List or unlist it, mend its notes, withdraw it (`yanked`) or offer it again."""
        user = person(request)
        release, sent = access.release_for(user, slug, release_id), self.body(request, ReleaseChanges)
        return self.once(
            request, lambda: Answer(200, own_release_document(releases.change_release(user, release, **sent)))
        )
