# SPDX-License-Identifier: Apache-2.0
"""The oracle: the LiteRT release that guests run, on the build computer, by the command line of guest/world/runner."""
