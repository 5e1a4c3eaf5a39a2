"""The gate's addresses on the console. Below the same prefix, `/gate/decide` is the live process's alone (decide.py)."""

from django.urls import path

from provider.gate import assets, signin

urlpatterns = [
    path("enter", signin.enter, name="gate-enter"),
    path("assets/<str:instance_id>/manifest.json", assets.manifest),
    path("assets/<str:instance_id>/icon-pwa", assets.icon),
]
