# Copyright (c) 2026, clusterset.dns contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# This module_utils is PRIVATE and should only be used by this collection. Breaking changes can occur any time.
"""How an API server is reached: authentication options, kubernetes.core's environment variables, kubeconfigs, and what of them is secret."""

from __future__ import annotations

import functools
import itertools
import os
import ssl
import threading
import traceback
import types
import typing as t
from urllib.parse import urlsplit

from ansible_collections.clusterset.dns.plugins.module_utils._kube.plugin import Limit, Plugin, PluginError
from ansible_collections.kubernetes.core.plugins.module_utils.args_common import AUTH_ARG_SPEC

try:
    import urllib3
    import yaml
    from kubernetes import config as kube_config
    from kubernetes.client.configuration import Configuration
    from kubernetes.client.rest import RESTClientObject
    from kubernetes.config.kube_config import ConfigNode
    from urllib3.util.ssl_ import create_urllib3_context

    KUBERNETES_IMPORT_ERROR: str | None = None
except ImportError:
    KUBERNETES_IMPORT_ERROR = traceback.format_exc()

Object = t.Mapping[str, t.Any]

# What is secret in authentication options and in a kubeconfig that is given as a dictionary, by its key.
_SECRETS = {
    "api_key", "password", "proxy_basic_auth", "basic_auth",
    "token", "client-key-data", "client-certificate-data", "access-token", "id-token", "refresh-token", "client-secret",
}  # fmt: skip
_SECRET_WORDS = ("KEY", "PASSWORD", "SECRET", "TOKEN")
_PROXY_HEADERS = AUTH_ARG_SPEC["proxy_headers"]["options"]


class AccessError(Exception):
    """Why a cluster cannot be reached as it is said, as a sentence. ``late``: the deadline passed meanwhile."""

    def __init__(self, message: str, *, late: bool = False) -> None:
        super().__init__(message)
        self.late = late


def secrets_of(value: t.Any, key: str = "") -> set[str]:
    """What must not be shown of a module's parameters, at any depth: tokens, passwords, keys, those that a credential plugin is given."""
    if isinstance(value, t.Mapping):
        found = {secret for name, item in value.items() for secret in secrets_of(item, str(name))}
        return found | _secrets_of_plugin(value) if key == "exec" else found
    if isinstance(value, list | tuple):
        return {secret for item in value for secret in secrets_of(item, key)}
    if not isinstance(value, str) or not value:
        return set()
    if key in ("proxy", "proxy-url"):
        return _password_of(value)
    # a kubeconfig's text where its path belongs
    return {value} if key in _SECRETS or (key == "kubeconfig" and ("\n" in value or "{" in value)) else set()


def _secrets_of_plugin(spec: Object) -> set[str]:
    """What a credential plugin is given by its environment, by ``--client-secret=VALUE`` and by ``--client-secret VALUE``."""
    env, args = (spec.get(key) if isinstance(spec.get(key), list) else [] for key in ("env", "args"))
    found = {one.get("value") for one in env if isinstance(one, t.Mapping) and _sounds_secret(one.get("name"))}
    arguments = [argument for argument in args if isinstance(argument, str)]
    for argument, following in itertools.pairwise([*arguments, ""]):
        option, equals, value = argument.partition("=")
        if option.startswith("-") and _sounds_secret(option):
            found.add(value if equals else following)
    return {value for value in found if isinstance(value, str) and value}


def _password_of(url: str) -> set[str]:
    try:
        return {urlsplit(url).password or ""} - {""}
    except ValueError:
        return set()


def _sounds_secret(name: t.Any) -> bool:
    return any(word in str(name).upper() for word in _SECRET_WORDS)


def options_of(auth: Object) -> dict[str, t.Any]:
    """The authentication options in ``auth``, and for those that are not there what kubernetes.core's environment variables say."""
    return {option: _typed(option, auth[option]) if auth.get(option) is not None else _from_environment(option) for option in AUTH_ARG_SPEC}


def _from_environment(option: str) -> t.Any:
    """As kubernetes.core: ``K8S_AUTH_`` and the option or its alias (``K8S_AUTH_CA_CERT``, ``K8S_AUTH_SSL_CA_CERT``)."""
    if option == "proxy_headers":
        given = {header: os.environ.get(f"K8S_AUTH_PROXY_HEADERS_{header.upper()}") for header in _PROXY_HEADERS}
        return {header: value for header, value in given.items() if value is not None} or None
    for name in (option, *AUTH_ARG_SPEC[option].get("aliases", ())):
        value = os.environ.get(f"K8S_AUTH_{name.upper()}")
        if value:
            return _typed(option, value)
    return None


def _typed(option: str, value: t.Any) -> t.Any:
    """An option's value in its type: a string of the environment, or of a dictionary whose keys Ansible does not know."""
    kind = AUTH_ARG_SPEC[option].get("type")
    if not isinstance(value, str):
        return value
    if kind == "bool":
        return value.lower() not in ("0", "false", "no")
    if kind == "list":
        return [part for part in value.split(",") if part]
    return os.path.expanduser(value) if kind == "path" else value


def configuration_of(options: Object, limit: t.Callable[[], Limit]) -> Configuration:
    """What the ``kubernetes`` library needs to reach a cluster. AccessError where that is not possible.

    :arg limit: asked whenever a credential plugin is to be run, how long it may take.
    """
    configuration = Configuration()
    credentials = options["api_key"] or (options["client_cert"] and options["client_key"]) or (options["username"] and options["password"])
    if not (options["host"] and credentials):
        _load(configuration, options, limit)
    if options["host"]:
        configuration.host = options["host"].rstrip("/")
    if options["api_key"]:
        configuration.api_key = {"authorization": f"Bearer {options['api_key']}"}
        configuration.refresh_api_key_hook = None
    for option, attribute in (
        ("validate_certs", "verify_ssl"),
        ("ca_cert", "ssl_ca_cert"),
        ("client_cert", "cert_file"),
        ("client_key", "key_file"),
        ("proxy", "proxy"),
        ("no_proxy", "no_proxy"),
    ):
        if options[option] is not None:
            setattr(configuration, attribute, options[option])
    if options["proxy_headers"]:
        configuration.proxy_headers = urllib3.make_headers(**options["proxy_headers"])
    return configuration


def pool_of(configuration: Configuration, size: int) -> urllib3.PoolManager:
    """The connections to a cluster, ``size`` of them kept at the most. AccessError where its proxy or certificates cannot be used."""
    configuration.connection_pool_maxsize = size
    proxy = urlsplit(configuration.proxy or "")
    try:
        pool = RESTClientObject(configuration).pool_manager
        # an HTTPS proxy is seen by the same certificates, for which the library makes a context itself
        if configuration.host.startswith("https:") and proxy.scheme != "https":
            paths = (configuration.ssl_ca_cert, configuration.cert_file, configuration.key_file)
            context = _tls(bool(configuration.verify_ssl), *paths, tuple(_stamp(path) for path in paths))
            pool.connection_pool_kw.update(ssl_context=context, ca_certs=None, cert_file=None, key_file=None)
    except ImportError as error:
        raise AccessError(
            f"it is reached by the SOCKS proxy {proxy.scheme}://{proxy.hostname}, for which Python needs the package PySocks"
            f" ({error}). Install it where this runs, or set proxy or the kubeconfig's proxy-url to an HTTP proxy."
        ) from error
    except (urllib3.exceptions.HTTPError, AssertionError) as error:
        raise AccessError(f"its proxy cannot be used: {error}. Set proxy or the kubeconfig's proxy-url to one that can.") from error
    except OSError as error:
        raise AccessError(
            f"its certificates cannot be used: {error.strerror or error}{f' ({error.filename})' if error.filename else ''}."
            " Set ca_cert, client_cert and client_key, or a kubeconfig in which they fit."
        ) from error
    return pool


@functools.lru_cache(maxsize=64)
def _tls(verify: bool, authority: str | None, cert: str | None, key: str | None, _stamps: tuple[t.Any, ...]) -> ssl.SSLContext:
    """One context for all connections with the same certificates: to load them costs more than a request does."""
    context = create_urllib3_context(cert_reqs=ssl.CERT_REQUIRED if verify else ssl.CERT_NONE)
    if authority:
        context.load_verify_locations(authority)
    elif verify:
        context.load_default_certs()
    if cert:
        # without a password, the one of an encrypted key would be asked for at the terminal
        context.load_cert_chain(cert, key, password="")
    return context


def _stamp(path: str | None) -> tuple[int, int] | None:
    if not path:
        return None
    found = os.stat(path)
    return found.st_mtime_ns, found.st_size


def _load(configuration: Configuration, options: Object, limit: t.Callable[[], Limit]) -> None:
    given, context = options["kubeconfig"], options["context"]
    try:
        if not given and not context:
            try:
                kube_config.load_incluster_config(client_configuration=configuration)
                _renew_alone(configuration)
                return
            except kube_config.ConfigException:
                pass  # not inside a pod: the default kubeconfig it is
        _load_kubeconfig(configuration, given, context, bool(options["persist_config"]), limit)
    except (kube_config.ConfigException, OSError, ValueError, TypeError, KeyError, AttributeError, yaml.YAMLError) as error:
        where = _place(given)
        wanted = f"context {context} of {where}" if context else where
        why = str(error).strip().rstrip(".")
        raise AccessError(f"{wanted} cannot be used: {why}. Set kubeconfig (and context) to one that exists.") from error


def _place(given: t.Any) -> str:
    if isinstance(given, str) and given:
        # a path is shown, a kubeconfig's text is not
        return "the kubeconfig given as text" if secrets_of(given, "kubeconfig") else given
    return "the kubeconfig given as a dictionary" if given else "the default kubeconfig"


def _load_kubeconfig(configuration: Configuration, given: t.Any, context: str | None, persist: bool, limit: t.Callable[[], Limit]) -> None:
    if isinstance(given, str) and secrets_of(given, "kubeconfig"):
        raise ValueError("it is no path. Give the path of a kubeconfig, or a dictionary (filter from_yaml)")
    files = [(None, _indexed(given))] if isinstance(given, t.Mapping) else _read(given)
    tree = _one_context(files, context)
    node = tree["users"][0] if tree["users"] else None
    user = (node.value.get("user") or {}) if node else {}
    if persist and "auth-provider" in user and not isinstance(given, t.Mapping):
        # the library alone writes a renewed token back
        path = os.path.expanduser(given) if given else None
        kube_config.load_kube_config(path, context=context, client_configuration=configuration, persist_config=True)
        _renew_alone(configuration)
        return
    plugin = None
    if node and tree["clusters"] and "exec" in user and not any(user.get(other) for other in ("auth-provider", "token", "tokenFile")):
        folder = os.path.dirname(os.path.abspath(node.path)) if node.path else ""
        plugin = Plugin(user["exec"], tree["clusters"][0].value.get("cluster") or {}, folder)
        rest = {key: value for key, value in user.items() if key != "exec"}
        tree["users"] = [ConfigNode(node.name, {**node.value, "user": {**rest, **_credentials(plugin, limit)}}, node.path)]
    root = files[0][0]
    kube_config.load_kube_config_from_dict(ConfigNode(root or "kube-config", tree, root), client_configuration=configuration)
    if plugin:
        configuration.refresh_api_key_hook = functools.partial(_renew_by_plugin, plugin, limit)
    else:
        _renew_alone(configuration)


def _renew_alone(configuration: Configuration) -> None:
    """Let the library renew a token before each request, but nothing else: it would put back the kubeconfig's server, too."""
    library = configuration.refresh_api_key_hook
    if library is None:
        return

    def renew(configuration: Configuration) -> None:
        scratch = types.SimpleNamespace(api_key=dict(configuration.api_key))
        library(scratch)
        configuration.api_key = scratch.api_key

    configuration.refresh_api_key_hook = renew


def _renew_by_plugin(plugin: Plugin, limit: t.Callable[[], Limit], configuration: Configuration) -> None:
    token = _credentials(plugin, limit).get("token")
    if token:
        # under one key, whose name depends on the library's version
        configuration.api_key = dict.fromkeys(configuration.api_key, f"Bearer {token}")


def _credentials(plugin: Plugin, limit: t.Callable[[], Limit]) -> dict[str, str]:
    try:
        return plugin.user(limit())
    except PluginError as error:
        raise AccessError(f"the kubeconfig's credential plugin {plugin.command} {error}.", late=error.late) from error


_LISTS = ("contexts", "clusters", "users")
_parsing = threading.Lock()


def _read(given: str | None) -> list[tuple[str, dict[str, t.Any]]]:
    """The kubeconfigs of a path, or of several as KUBECONFIG has them."""
    files = []
    for part in (given or os.environ.get("KUBECONFIG") or "~/.kube/config").split(os.pathsep):
        path = os.path.expanduser(part)
        if part and os.path.exists(path):
            with open(path, "rb") as file:
                text = file.read()
            # one at a time: who comes second finds it done
            with _parsing:
                files.append((path, _parsed(text)))
    if not files:
        raise ValueError("there is no such file")
    return files


@functools.lru_cache(maxsize=1024)
def _parsed(text: bytes) -> dict[str, t.Any]:
    # libyaml, where it is there, takes a twentieth of the time
    return _indexed(yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader)))


def _indexed(content: t.Any) -> dict[str, t.Any]:
    """A kubeconfig's entries by their names, so that one context of hundreds is found at once. ValueError where it is none."""
    if not isinstance(content, t.Mapping):
        raise ValueError("it is empty" if content is None else "it is no kubeconfig")
    index: dict[str, t.Any] = {"current-context": content.get("current-context")}
    for kind in _LISTS:
        index[kind] = {}
        for entry in content.get(kind) or ():
            if not isinstance(entry, t.Mapping) or "name" not in entry:
                raise ValueError(f"an entry of {kind} has no name")
            index[kind].setdefault(entry["name"], entry)
    return index


def _one_context(files: t.Sequence[tuple[str | None, Object]], context: str | None) -> dict[str, t.Any]:
    """A kubeconfig of nothing but one context, what of it there is, or of the current one."""
    chosen = context or next((index["current-context"] for _path, index in reversed(files) if index["current-context"]), None)
    found = _find(files, "contexts", chosen)
    names = (found.value.get("context") or {}) if found else {}
    parts = {"contexts": found, **{kind: _find(files, kind, names.get(kind.removesuffix("s"))) for kind in ("clusters", "users")}}
    return {"current-context": chosen, **{kind: [node] if node else [] for kind, node in parts.items()}}


def _find(files: t.Sequence[tuple[str | None, Object]], kind: str, name: str | None) -> ConfigNode | None:
    """The first entry of that name, which remembers its file: paths in it are relative to that."""
    for path, index in files:
        if name in index[kind]:
            return ConfigNode(f"{path or 'kube-config'}/{kind}[name={name}]", dict(index[kind][name]), path)
    return None
