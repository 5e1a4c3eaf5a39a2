"""The gate's addresses on the console. Below the same prefix, `/gate/decide` is answered by provider/asgi.py alone."""

from django.urls import path

from provider.gate import signin

urlpatterns = [path("enter", signin.enter, name="gate-enter")]
