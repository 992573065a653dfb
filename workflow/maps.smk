# A folder of scenes mapped with one trained network, a job a scene; a large one in shares that are joined:
#   snakemake maps --snakefile workflow/maps.smk --cores all --config model=results/NAME.json scenes=FOLDER maps=OUT
# and on a cluster with `--executor slurm --jobs 50` in place of `--cores all`. Options of `cpdgal map` go through `options`,
# such as options="--entropy --no-data -9999". Cut off, the same line goes on, tile by tile.

import shlex
import sys
from pathlib import Path

from cpdgal.mapping import opened
from cpdgal.readers import TIFF, SceneError

sys.path.insert(0, workflow.basedir)
from configured import configured

# The pixels are those of a job: an hour or so of CPDGAL.
*places, SHARE, OPTIONS = configured(config, model=None, scenes=None, maps=None, pixels=4_000_000, options="")
MODEL, SCENES, MAPS = map(Path, places)
CPDGAL = shlex.quote(f"{Path(sys.executable).parent}/cpdgal")
if not MODEL.is_file():
    sys.exit(f"{MODEL} is no file; name a record with weights, or what cpdgal label keeps, with model=FILE")
if not SCENES.is_dir():
    sys.exit(f"{SCENES} is no folder of scenes; name one with scenes=FOLDER")
FILES = [path for path in sorted(SCENES.iterdir()) if path.suffix.lower() in (*TIFF, ".hdr", ".mat", ".npy")]
HERE = {path.stem: path for path in FILES}
if not HERE:
    sys.exit(f"{SCENES} holds no GeoTIFF, ENVI, .mat or .npy scene; name another folder with scenes=FOLDER")
if alike := [path.name for path in FILES if path not in HERE.values()]:
    sys.exit(f"{SCENES}: {alike[0][:80]} and another scene would have one map, by their name; rename one of them")
if MAPS.resolve() == SCENES.resolve():
    sys.exit(f"the maps would lie among the scenes in {SCENES}, under their names; name another folder with maps=FOLDER")
MAPS.mkdir(parents=True, exist_ok=True)


def shares(path):
    """So many jobs a scene; one whose size is not known before it is read has one."""
    if path.suffix.lower() not in (*TIFF, ".hdr"):
        return 1
    try:
        with opened(str(path)) as source:
            return max(1, round(source.shape[0] * source.shape[1] / SHARE))
    except SceneError as error:
        sys.exit(str(error))


localrules: maps


rule maps:
    input: [f"{MAPS}/{name}.tif" for name in HERE]


for number, (name, path) in enumerate(HERE.items(), 1):
    of, out = shares(path), f"{MAPS}/{name}.tif"
    parts = [f"{MAPS}/.{name}-share-{own}-{of}" for own in range(1, of + 1)] if of > 1 else []
    command = f"{CPDGAL} map {shlex.quote(str(MODEL))} {shlex.quote(str(path))} -o {shlex.quote(out)} {OPTIONS}"
    for own, part in enumerate(parts, 1):
        rule:
            name: f"scene_{number}_share_{own}"
            input: str(MODEL), str(path)
            output: temp(touch(part))
            params: command=f"{command} --share {own}/{of}"
            threads: 1
            resources: mem_mb=3000, runtime=720
            shell: "{params.command} --jobs {threads}"
    rule:
        name: f"scene_{number}"
        input: str(MODEL), str(path), parts
        output: out
        params: command=command
        threads: 1
        resources: mem_mb=3000, runtime=720
        shell: "{params.command} --jobs {threads}"
