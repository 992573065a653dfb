# A folder of scenes mapped with one trained network, a job a scene; a large one in shares that are joined:
#   snakemake maps --snakefile workflow/maps.smk --cores all --config model=results/NAME.json scenes=FOLDER maps=OUT
# and on a cluster with `--executor slurm --jobs 50` in place of `--cores all`. Options of `cpdgal map` go through `options`,
# such as options="--entropy --no-data -9999". Cut off, the same line goes on, tile by tile.

import shlex
import sys
from pathlib import Path

from cpdgal.mapping import opened
from cpdgal.readers import TIFF

MODEL, SCENES, MAPS = (Path(config[name]) for name in ("model", "scenes", "maps"))
SHARE = config.get("pixels", 4_000_000)  # of a job: an hour or so of CPDGAL
OPTIONS = config.get("options", "")
CPDGAL = shlex.quote(f"{Path(sys.executable).parent}/cpdgal")
HERE = {path.stem: path for path in sorted(SCENES.iterdir()) if path.suffix.lower() in (*TIFF, ".hdr", ".mat", ".npy")}
if not HERE:
    raise ValueError(f"{SCENES} holds no GeoTIFF, ENVI, .mat or .npy scene; name another folder with scenes=FOLDER")
MAPS.mkdir(parents=True, exist_ok=True)


def shares(path):
    """So many jobs a scene; one whose size is not known before it is read has one."""
    if path.suffix.lower() not in (*TIFF, ".hdr"):
        return 1
    with opened(str(path)) as source:
        return max(1, round(source.shape[0] * source.shape[1] / SHARE))


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
