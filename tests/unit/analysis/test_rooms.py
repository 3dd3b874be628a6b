# SPDX-License-Identifier: Apache-2.0
"""Analysis only computes: it draws nothing, and knows nothing of those who do."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import orchestrator.analysis

MODULES = sorted(Path(orchestrator.analysis.__file__).parent.glob("*.py"))
DRAWING = re.compile(r"matplotlib|jinja2|markupsafe|<svg|<html|<table|colou?r", re.IGNORECASE)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.stem)
def test_analysis_imports_nobody_who_draws(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = [node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    names += [alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names]
    ours = {name.split(".")[1] for name in names if name.startswith("orchestrator.")}
    assert ours <= {"analysis", "runs", "schema", "words", "registry", "errors", "files"}
    assert not {name.split(".")[0] for name in names} & {"matplotlib", "jinja2", "markupsafe", "junitparser"}
    assert not DRAWING.search(path.read_text(encoding="utf-8"))
