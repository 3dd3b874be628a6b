# SPDX-License-Identifier: Apache-2.0
"""Boots on a Dask cluster: the client's side (client, connect), the workers' (task), and what goes between them."""
