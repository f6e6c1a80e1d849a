# Copyright (c) 2026, clusterset.dns contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """The options of ``PLACE_ARG_SPEC`` in ``module_utils/_corefile/place.py``."""

    DOCUMENTATION = r"""
requirements:
  - python >= 3.11
  - kubernetes >= 24.2.0, unless O(path) is set
options:
  path:
    description:
      - A file that holds the Corefile. Without it, the Corefile is a key of a ConfigMap in the cluster that the authentication
        options name.
    type: path
  namespace:
    description: The namespace of the ConfigMap.
    type: str
    default: kube-system
  name:
    description: The ConfigMap.
    type: str
    default: coredns
  key:
    description: The key of the ConfigMap whose value is the Corefile.
    type: str
    default: Corefile
  cluster_domain:
    description: The domain of the cluster's own Services, as CoreDNS serves it. It may be set per cluster.
    type: str
    default: cluster.local
  imports:
    description:
      - The files that C(import) lines of the Corefile read, path (as in CoreDNS's container, or relative to C(/etc/coredns))
        to text. An empty dictionary says that no file is there.
      - Without it such lines are not followed, and M(clusterset.dns.corefile) does not add a zone to a Corefile that imports
        files between its server blocks, because one for the zone may hide there.
    type: dict
  env:
    description:
      - Environment variables of CoreDNS's container, for C({$NAME}) in the Corefile. A variable that is missing in the
        dictionary is empty.
      - Without it variables are left as they are, and M(clusterset.dns.corefile) does not add a zone to a Corefile that takes
        the zone of a server block from one.
    type: dict
"""
