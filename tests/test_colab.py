"""The notebooks as on Colab: the wheel and one .ipynb, where torch and numpy are there already and the checkout is not."""

import json
import os
import re
import shutil
import subprocess
import sys
import venv
from importlib.metadata import distribution

import nbformat
import papermill
import pytest
from conftest import ROOT
from packaging.requirements import Requirement

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
QUICK = ("12_open_decisions", "run")
THERE = ("torch", "numpy", "ipykernel")  # what a hosted service brings, of that which matters here
PIP = """import sys
from pathlib import Path
Path(__file__).with_name("asked").write_text(" ".join(sys.argv[1:]))
"""
INSTALLED = """from importlib.util import find_spec
import cpdgal
print(cpdgal.__file__, len(cpdgal.Store("nothing").records()), sep="\\n")
print(find_spec("plotly") is not None, find_spec("myst_nb") is not None)
"""


def distributions(*names):
    """The installed distributions of these names and of what they require."""
    found, wanted = {}, list(names)
    while wanted:
        if (name := wanted.pop()) not in found:
            found[name] = distribution(name)
            needed = map(Requirement, found[name].requires or ())
            wanted += [each.name for each in needed if not each.marker or each.marker.evaluate({"extra": ""})]
    return found.values()


def build_wheel(folder):
    source = folder / "source"
    for name in ("cpdgal", "results"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("checkpoints", "__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(source)]
    subprocess.run(command, check=True, capture_output=True)
    shutil.rmtree(source)
    (wheel,) = folder.glob("cpdgal-*.whl")
    return wheel


class Service:
    """A fresh environment beside the packages that are there already, with the wheel and its extra as pip takes them, and a
    kernel of it in which google.colab is loaded and pip only notes what it is asked for."""

    def __init__(self, folder):
        there, self.fakes, self.jupyter = (folder / name for name in ("there", "fakes", "jupyter"))
        there.mkdir()
        for each in distributions(*THERE):
            for name in {file.parts[0] for file in each.files} - {"..", "__pycache__"}:
                if not (there / name).exists():
                    (there / name).symlink_to(each.locate_file(name))
        venv.create(folder / "env")
        self.python = folder / "env" / "bin" / "python"
        (self.site,) = (folder / "env").glob("lib/python*/site-packages")
        (self.site / "there.pth").write_text(str(there))
        self.pip = [sys.executable, "-m", "pip", "--python", str(self.python)]
        wanted = f"cpdgal[pages] @ {build_wheel(folder).as_uri()}"
        install = [*self.pip, "install", "--quiet", "--no-compile", wanted]
        self.install = subprocess.run(install, cwd=folder, capture_output=True, text=True, check=False)
        for path, content in {"google/colab/__init__.py": "", "pip/__main__.py": PIP}.items():
            (self.fakes / path).parent.mkdir(parents=True)
            (self.fakes / path).write_text(content)
        kernel = self.jupyter / "kernels" / "colab" / "kernel.json"
        kernel.parent.mkdir(parents=True)
        start = ["-m", "ipykernel_launcher", "-f", "{connection_file}", "--IPKernelApp.exec_lines=import google.colab"]
        spec = {"argv": [str(self.python), *start], "display_name": "Colab", "env": {"PYTHONPATH": str(self.fakes)}}
        kernel.write_text(json.dumps(spec))
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "JUPYTER_PATH": str(self.jupyter),
            "OMP_NUM_THREADS": "1",
        }

    def __call__(self, cwd, *command):
        done = subprocess.run(command, cwd=cwd, env=self.environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-3000:]
        return done.stdout


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    return Service(tmp_path_factory.mktemp("service"))


def test_the_wheel_installs_where_torch_and_numpy_are_and_leaves_them_alone(service, tmp_path):
    assert service.install.returncode == 0, service.install.stderr
    assert not [*service.site.glob("torch*"), *service.site.glob("numpy*")]
    assert "No broken requirements" in service(tmp_path, *service.pip, "check")
    said = service(tmp_path, service.python, "-c", INSTALLED).splitlines()
    records = list((ROOT / "results").glob("*.json"))
    assert said == [str(service.site / "cpdgal" / "__init__.py"), str(len(records)), "True False"]


@pytest.mark.parametrize("command", ["records", "run --profile smoke --scene synthetic --method coordinates --query random"])
def test_the_command_line_needs_no_extra(service, command, tmp_path):
    without = "import sys; sys.modules |= dict.fromkeys(['seaborn', 'plotly', 'pyhessian'])"
    said = service(tmp_path, service.python, "-c", f"{without}\nfrom cpdgal.cli import app\napp()", *command.split())
    assert len(said.splitlines()) > 1


@pytest.mark.notebook
@pytest.mark.parametrize(
    "notebook", [pytest.param(path, id=path.stem, marks=() if path.stem in QUICK else pytest.mark.slow) for path in NOTEBOOKS]
)
def test_a_notebook_runs_in_an_empty_folder(service, notebook, tmp_path):
    (folder := tmp_path / "content").mkdir()
    shutil.copy(notebook, folder)
    trains = "scene_name" in papermill.inspect_notebook(str(notebook))  # the others show the records of the package
    smoke = ["-p", "profile", "smoke"] if trains else []
    done = tmp_path / "done.ipynb"
    papermill_here = (sys.executable, "-m", "papermill", "--no-progress-bar", "--kernel", "colab")
    service(folder, *papermill_here, notebook.name, done, *smoke)
    asked = service.fakes / "pip" / "asked"
    assert re.fullmatch(r"install --quiet cpdgal\[pages\] @ git\+https://\S+", asked.read_text())
    asked.unlink()
    outputs = [output for cell in nbformat.read(done, 4).cells for output in cell.get("outputs", [])]
    assert any("image/png" in output.get("data", {}) for output in outputs)
    assert {path.name for path in folder.iterdir()} <= {notebook.name, "results"}
