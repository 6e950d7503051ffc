"""No DAG: a broken mapping or rule of the project is an import error that everybody sees, here and nowhere else.

Every system keeps its DAGs in Airflow, and only what needs the broken file fails, after its pull.
"""

from __future__ import annotations

from flow.language import refuse
from flow.lint import lint
from hub.config import load_project

PROJECT = load_project()
FINDINGS, _ = lint(PROJECT, [], list(PROJECT.systems))
refuse(FINDINGS)
