"""Build the wheel, install it outside the checkout and import every module.

An editable install hides bad imports and files that the wheel forgot.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PROBE = """
import importlib, pkgutil, sys
seen = 0
for name in ("connectors", "expectations", "perfhouse"):
    package = importlib.import_module(name)
    assert str(package.__path__[0]).startswith(sys.prefix), package.__path__
    for info in pkgutil.walk_packages(package.__path__, name + "."):
        if info.name == "perfhouse.orchestration" and not importlib.util.find_spec("airflow"):
            continue
        if "._project" in info.name:
            continue
        importlib.import_module(info.name)
        seen += 1
from perfhouse import settings
assert (settings.project_dir() / "dbt_project.yml").is_file(), settings.project_dir()
assert (settings.dags_dir() / "ingest.py").is_file(), settings.dags_dir()
from perfhouse import company_mappings, company_packs
assert len(company_packs.shipped()) == 3, company_packs.shipped()
assert len(company_mappings.shipped()) == 4, company_mappings.shipped()
from perfhouse.mart import migration, shape
assert len(shape.tables()) > 10, shape.tables()
assert all(migration.text(f"{name}.sql") for name in ("roles", "schemas", "as_it_stands"))
print(f"{seen} modules import from the wheel; dbt project, DAGs, KPI packs and mappings are inside")
"""


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(
            [sys.executable, "-m", "build", "--wheel", "--no-isolation", "-o", folder, str(ROOT)],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        (wheel,) = Path(folder).glob("*.whl")
        home = Path(folder) / "env"
        venv.create(home, with_pip=False)
        python = home / "bin" / "python"
        uv = [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--python", str(python)]
        subprocess.run([*uv, "--require-hashes", "-r", str(ROOT / "requirements.lock")], check=True)
        subprocess.run([*uv, "--offline", "--no-deps", str(wheel)], check=True)
        subprocess.run([str(python), "-c", PROBE], check=True, cwd=folder)


if __name__ == "__main__":
    main()
