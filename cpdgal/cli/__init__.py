"""`cpdgal`: scenes, methods, fetch, run, map and records from a shell."""

import re
import sys

import typer
from typer.core import TyperGroup

from ..writing import RecordError
from . import assessments, labels, maps, runs, scenes


class Sentences(TyperGroup):
    """Commands that end with one sentence and a non-zero exit on what a user can fix."""

    def invoke(self, context):
        for stream in (sys.stdout, sys.stderr):  # a console that lacks a letter shows a question mark
            if hasattr(stream, "reconfigure"):
                stream.reconfigure(errors="replace")
        try:
            return super().invoke(context)
        except (ValueError, RecordError) as error:
            said = " ".join(str(error).split())
            sys.exit(re.sub(r"\S{160,}", lambda long: f"{long[0][:60]}...{long[0][-60:]}", said))  # a path may be very long
        except OSError as error:  # of a path that not even its own check can take, or of the output
            if error.filename is None:
                sys.stdout = None  # lest Python tries once more
                sys.exit(f"the output cannot be written ({error.strerror}); make room, or send it elsewhere")
            sys.exit(f"{str(error.filename)[:120]!r} cannot be used ({error.strerror}); check the path")
        except (MemoryError, RuntimeError) as error:
            if isinstance(error, RuntimeError) and "memory" not in str(error):
                raise
            sys.exit(
                "there is not enough memory for this scene and network; take a part, smaller values, or a machine with more"
            )
        except KeyboardInterrupt:
            print("stopped; the same command goes on from a minute ago at most", file=sys.stderr)
            sys.exit(130)


app = typer.Typer(cls=Sentences, no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=__doc__)
app.add_typer(scenes.app, name="scenes")
app.command("splits")(scenes.splits)
app.command("methods")(runs.methods)
app.command("fetch")(scenes.fetch)
app.command("run")(runs.run_)
app.command("label")(labels.label)
app.command("map")(maps.map_)
app.add_typer(assessments.app, name="assess")
app.command("records")(runs.records)
