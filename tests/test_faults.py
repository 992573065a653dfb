"""Runs that are killed, interrupted, damaged, short of room, or asked for twice at once."""

import io
import json
import multiprocessing
import os
import re
import resource
import shutil
import signal
import time
from contextlib import redirect_stderr, suppress
from functools import partial
from threading import Event

import numpy as np
import pytest
from filelock import FileLock
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load
from small import SMALL, contents, one_sentence, own_scene, run

from cpdgal import Record, RecordError, Store, Study, records, runner
from cpdgal.runner import Checkpoints

# Runs that are killed. Children come from a server that has imported everything, so that each starts at once.

CHILDREN = multiprocessing.get_context("forkserver")
CHILDREN.set_forkserver_preload(["cpdgal", "hypothesis", "pytest", "skactiveml.pool", "torch._dynamo"])

SELDOM = SMALL.but(score_every=3)
KILLED = {
    "margin": SELDOM,
    "keep_optimizer": SELDOM.but(keep_optimizer=True),
    "bald": SELDOM.but(query="bald"),
    "random": SELDOM.but(query="random"),
    "cold start, keep_optimizer": SELDOM.but(warm_start=False, keep_optimizer=True, query="badge"),
}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """The record of a study whose run nothing happened to, by the study's name here."""
    records = {}

    def get(name):
        if name not in records:
            records[name] = run(KILLED[name], tmp_path_factory.mktemp("undisturbed"), weights=True)
        return records[name]

    return get


class Child:
    """A process that runs `work(connection, *args)`, and what it tells on the connection."""

    def __init__(self, work, *args):
        self.told, telling = CHILDREN.Pipe(duplex=False)
        self.process = CHILDREN.Process(target=work, args=(telling, *args))
        self.process.start()
        telling.close()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.kill()
        self.told.close()
        self.process.close()

    def hear(self, seconds=300):
        assert self.told.poll(seconds), "the child said nothing"
        return self.told.recv()

    def kill(self):
        self.process.kill()
        return self.wait()

    def wait(self, seconds=300):
        self.process.join(seconds)
        return self.process.exitcode


def before(owner, name, act, when=lambda *args: True):
    """In a child: let `act` happen before a function is called, every time when its arguments are as asked for."""
    original = getattr(owner, name)

    def called(*args, **options):
        if when(*args):
            act(*args)
        return original(*args, **options)

    setattr(owner, name, called)


def nth(n):
    counted = iter(range(1, 1000))
    return lambda *args: next(counted) == n


def is_current(path, content):
    """Whether a file to be written is a checkpoint that has one before it."""
    return path.with_name(f"{path.stem}.previous.safetensors").exists()


def halve(descriptor):
    os.ftruncate(descriptor, os.fstat(descriptor).st_size // 2)


# When a child stops and waits to be killed: before which function is called, and when.
MOMENTS = {
    "in the middle of the first file": (os, "fsync", nth(1)),
    "between the two renames of a checkpoint": (runner, "write", is_current),
    "in the middle of the previous checkpoint": (os, "fsync", nth(4)),
    "in the middle of the current checkpoint": (os, "fsync", nth(5)),
    "before the record": (Store, "save", nth(1)),
    "in the middle of the weights": (os, "fsync", nth(8)),
    "between the weights and the record": (records, "write", lambda path, content: path.suffix == ".json"),
    "in the middle of the record": (os, "fsync", nth(9)),
    "before the checkpoint is removed": (Checkpoints, "drop", nth(1)),
}


def runs(telling, study, folder, moment=None):
    """In a child: run a study, and say so at a moment and wait there."""

    def stop(*args):
        if MOMENTS[moment][1] == "fsync":
            halve(*args)
        telling.send(moment)
        time.sleep(3600)

    if moment:
        owner, name, when = MOMENTS[moment]
        before(owner, name, stop, when)
    run(study, folder, weights=True)


def goes_on(study, folder, expected):
    """Run a study again that was killed: its record is the undisturbed one."""
    resumable = not (folder / f"{study.name}.json").exists() and (folder / f"checkpoints/{study.name}.safetensors").exists()
    resumed = run(study, folder, weights=True)
    assert resumed.differences(expected) == []
    assert Record.read(resumed.path).differences(expected) == []
    assert resumed.weights.read_bytes() == expected.weights.read_bytes()
    assert resumed.provenance["resumed"] == resumable
    assert len(resumed.provenance["seconds"]) == study.cycles + 1
    assert not list(folder.rglob("*.part"))
    return resumable


@pytest.mark.parametrize("moment", MOMENTS)
def test_a_run_killed_at_an_exact_moment_ends_in_the_same_record(tmp_path, undisturbed, moment):
    name = [*KILLED][[*MOMENTS].index(moment) % len(KILLED)]
    with Child(runs, KILLED[name], tmp_path, moment) as child:
        assert child.hear() == moment
        assert child.kill() == -signal.SIGKILL
    assert bool(list(tmp_path.rglob("*.part"))) == ("middle" in moment)
    resumable = goes_on(KILLED[name], tmp_path, undisturbed(name))
    assert resumable == (moment not in ("in the middle of the first file", "before the checkpoint is removed"))


def cycle_kept(checkpoint):
    """The cycle that a checkpoint was kept behind; -1 before there is one."""
    with suppress(FileNotFoundError):
        return int(load(checkpoint.read_bytes()).get("cycle", -1))  # read at once: it may be replaced at any time
    return -1


def killed_within(cycle, wait, study, folder):
    """Kill a run so many seconds into a cycle; False when it was through by then."""
    lock, checkpoint = (folder / f"checkpoints/{study.name}{ending}" for ending in (".lock", ".safetensors"))
    with Child(runs, study, folder) as child:
        while not lock.exists() or cycle_kept(checkpoint) < cycle - 1:
            if child.process.exitcode is not None:
                return False
            time.sleep(0.002)
        time.sleep(wait)
        return child.kill() == -signal.SIGKILL and not (folder / f"{study.name}.json").exists()


# As often as CPDGAL_KILLS says: 20 have each of the five studies killed in each of its first three cycles.
@pytest.mark.parametrize("number", range(int(os.environ.get("CPDGAL_KILLS", "5"))))
def test_a_run_killed_at_a_random_moment_ends_in_the_same_record(tmp_path, undisturbed, number):
    name, cycle = [*KILLED][number % len(KILLED)], number % 3
    expected = undisturbed(name)
    wait = np.random.default_rng(number).uniform() * expected.provenance["seconds"][cycle]
    folders = (tmp_path / str(attempt) for attempt in range(6))  # sooner, should the machine be faster than it was
    folder = next(each for i, each in enumerate(folders) if killed_within(cycle, wait / 2**i, KILLED[name], each))
    assert cycle_kept(folder / f"checkpoints/{KILLED[name].name}.safetensors") >= cycle - 1
    assert goes_on(KILLED[name], folder, expected) or not cycle


def test_a_run_may_be_killed_again_and_again(tmp_path, undisturbed):
    for moment in ("in the middle of the current checkpoint", "in the middle of the previous checkpoint", "before the record"):
        with Child(runs, SELDOM, tmp_path, moment) as child:
            assert child.hear() == moment
            assert child.kill() == -signal.SIGKILL
    record = run(SELDOM, tmp_path, weights=True)
    assert record.differences(undisturbed("margin")) == []
    assert record.provenance["resumed"] == 3


# Two at once


def runs_beside(telling, study, folder, together):
    """In a child: run a study that another process asks for at the same time; how often it trained, and what it said."""
    trained, said = [], io.StringIO()
    before(runner, "active_learning", lambda *args: trained.append(1))
    before(Checkpoints, "claim", lambda *args: together.wait(300))  # neither has found a record
    with redirect_stderr(said):
        record = run(study, folder)
    telling.send((len(trained), said.getvalue(), record.to_json()))


def test_two_processes_that_want_the_same_study_do_the_work_once(tmp_path, record):
    together = CHILDREN.Barrier(2)
    with Child(runs_beside, SMALL, tmp_path, together) as one, Child(runs_beside, SMALL, tmp_path, together) as other:
        told = sorted(child.hear() for child in (one, other))
        assert [child.wait() for child in (one, other)] == [0, 0]
    assert [trained for trained, _, _ in told] == [0, 1]
    assert [text for _, text, _ in told] == [f"{SMALL.name} is being run by another process; waiting for its record\n", ""]
    assert list(contents(tmp_path)) == [f"{SMALL.name}.json"]
    assert {text for _, _, text in told} == {(tmp_path / f"{SMALL.name}.json").read_text()}
    assert Record.read(tmp_path / f"{SMALL.name}.json").differences(record) == []


def test_who_waits_for_a_process_that_is_killed_goes_on_in_its_place(tmp_path, undisturbed):
    together = CHILDREN.Barrier(1)
    with Child(runs, SELDOM, tmp_path, "before the record") as first:
        assert first.hear() == "before the record"
        with Child(runs_beside, SELDOM, tmp_path, together) as second:
            assert not second.told.poll(0.5)  # it waits
            assert first.kill() == -signal.SIGKILL
            trained, said, _ = second.hear()
            assert second.wait() == 0
    assert trained == 1
    assert "is being run by another process" in said
    assert goes_on(SELDOM, tmp_path, undisturbed("margin")) is False


# Interrupted within a training

PEER = Study(scene="synthetic", profile="smoke", method="vit_hong", epochs=4, judged=50)


@pytest.mark.parametrize("study", [SMALL, PEER], ids=["CPDGAL", "a peer"])
def test_a_run_interrupted_within_a_training_goes_on_behind_its_last_epoch(tmp_path, monkeypatch, study):
    expected = run(study, tmp_path / "expected")
    folder, original, trained = tmp_path / "interrupted", Checkpoints.save, []

    def save(checkpoints, state, log):
        original(checkpoints, state, log)
        if "training.losses" in state:
            trained.append((int(state.get("cycle", -1)), len(state["training.losses"])))
            raise KeyboardInterrupt

    monkeypatch.setattr(runner, "CHECKPOINT_EVERY", -1)
    monkeypatch.setattr(Checkpoints, "save", save)
    epochs = [(cycle - 1, epoch) for cycle in range(study.cycles + 1) for epoch in range(1, study.epochs + 1)]
    for _ in epochs:
        with pytest.raises(KeyboardInterrupt):
            run(study, folder)
    resumed = run(study, folder)
    assert trained == epochs  # none was trained twice
    assert resumed.differences(expected) == []
    assert resumed.provenance["resumed"] == len(epochs)
    assert not list((folder / "checkpoints").glob("*.safetensors"))


def test_a_run_that_is_told_to_stop_ends_behind_its_epoch(tmp_path):
    stop = Event()
    stop.set()
    with pytest.raises(KeyboardInterrupt):
        run(PEER, tmp_path, stop=stop)
    state, log = Checkpoints(tmp_path, PEER).load()
    assert len(state["training.losses"]) == 1
    assert log["cycles"] == []


# Damaged checkpoints


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    """A folder with the checkpoints of a run that was interrupted behind its cycle 1. Only for copying."""
    folder = tmp_path_factory.mktemp("stopped")
    original = Checkpoints.save

    def save(checkpoints, state, log):
        original(checkpoints, state, log)
        if state["cycle"] == 1:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Checkpoints, "save", save)
        with pytest.raises(KeyboardInterrupt):
            run(SMALL, folder)
    return folder


@pytest.fixture
def halfway(stopped, tmp_path):
    """A copy of it to be damaged: the folder, the current checkpoint and the one before it."""
    copy = shutil.copytree(stopped, tmp_path / "halfway")
    checkpoints = [copy / f"checkpoints/{SMALL.name}{ending}.safetensors" for ending in ("", ".previous")]
    assert [cycle_kept(checkpoint) for checkpoint in checkpoints] == [1, 0]
    return copy, *checkpoints


def flipped(content, at):
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


DAMAGES = {
    "empty": lambda content: b"",
    "cut off in its header": lambda content: content[:100],
    "cut off in its tensors": lambda content: content[: len(content) - 1000],
    "cut off by a byte": lambda content: content[:-1],
    "a flipped bit at its start": lambda content: flipped(content, 0),
    "a flipped bit in the log": lambda content: flipped(content, content.index(b'OA\\": ') + 9),
    "a flipped bit in its tensors": lambda content: flipped(content, len(content) - 100),
    "something else": lambda content: b'{"not": "a checkpoint"}' * 100,
}


def other_shapes(state):
    return {name: value.flatten().repeat(2) if name.startswith("model.") else value for name, value in state.items()}


FOREIGN = {
    "no tensors": lambda state: {},
    "a name of the loop that is missing": lambda state: {k: v for k, v in state.items() if k != "labelled"},
    "weights that are missing": lambda state: {k: v for k, v in state.items() if not k.endswith(".bias")},
    "a training without its losses": lambda state: {**state, "training.seconds": state["cycle"].clone()},
    "weights of other shapes": other_shapes,
    "of another cycle": lambda state: {**state, "cycle": state["cycle"] + 1},
}


@pytest.mark.parametrize("foreign", FOREIGN)
def test_a_whole_checkpoint_with_foreign_tensors_is_told_and_the_one_before_it_is_used(halfway, record, foreign):
    folder, current, previous = halfway
    before, (state, log) = previous.read_bytes(), Checkpoints(folder, SMALL).load()
    Checkpoints(folder, SMALL).save(FOREIGN[foreign](state), log)
    previous.write_bytes(before)
    with pytest.warns(UserWarning, match=rf"^{re.escape(str(current))} is damaged \(its tensors .*\); going back") as told:
        resumed = run(SMALL, folder)
    assert len(told) == 1
    assert resumed.differences(record) == []
    assert resumed.provenance["resumed"] == 1


def test_a_checkpoint_from_before_a_value_was_added_to_studies_is_gone_on_with(halfway, record):
    state, log = Checkpoints(halfway[0], SMALL).load()
    del log["study"]["crs"]
    Checkpoints(halfway[0], SMALL).save(state, log)
    resumed = run(SMALL, halfway[0])
    assert resumed.differences(record) == []
    assert resumed.provenance["resumed"] == 1


def test_an_interrupted_run_goes_on_behind_its_last_cycle(halfway, record, monkeypatch):
    noted, original = [], runner._note
    monkeypatch.setattr(runner, "_note", lambda log, cycle, *rest: noted.append(cycle.cycle) or original(log, cycle, *rest))
    resumed = run(SMALL, halfway[0])
    assert noted == [2, 3]
    assert resumed.differences(record) == []
    assert resumed.provenance["resumed"] == 1
    assert list(contents(halfway[0])) == [f"{SMALL.name}.json"]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_checkpoint_is_told_and_the_one_before_it_is_used(halfway, damage):
    folder, current, _ = halfway
    current.write_bytes(DAMAGES[damage](current.read_bytes()))
    with pytest.warns(UserWarning, match=rf"^{re.escape(str(current))} is damaged \(.*\); going back to the") as told:
        state, log = Checkpoints(folder, SMALL).load()
    assert len(told) == 1
    assert state["cycle"] == 0
    assert [row["cycle"] for row in log["cycles"]] == [0]


def test_a_run_goes_on_behind_the_checkpoint_before_a_damaged_one(halfway, record):
    folder, current, _ = halfway
    current.write_bytes(DAMAGES["cut off in its tensors"](current.read_bytes()))
    with pytest.warns(UserWarning, match="is damaged"):
        resumed = run(SMALL, folder)
    assert resumed.differences(record) == []
    assert resumed.provenance["resumed"] == 1


@pytest.mark.parametrize(
    "damages", [("cut off in its tensors", "a flipped bit in its tensors"), ("empty", "a flipped bit in the log")]
)
def test_where_both_checkpoints_are_damaged_a_run_starts_anew(halfway, record, damages):
    folder, *checkpoints = halfway
    for path, damage in zip(checkpoints, damages, strict=True):
        path.write_bytes(DAMAGES[damage](path.read_bytes()))
    with pytest.warns(UserWarning, match="is damaged") as told:
        anew = run(SMALL, folder)
    assert [str(warning.message).split(" is damaged")[0] for warning in told] == [str(path) for path in checkpoints]
    assert anew.differences(record) == []
    assert anew.provenance["resumed"] == 0


def test_where_the_current_checkpoint_is_missing_the_one_before_it_is_used(halfway, record):
    folder, current, _ = halfway
    current.unlink()
    resumed = run(SMALL, folder)
    assert resumed.differences(record) == []
    assert resumed.provenance["resumed"] == 1


def test_a_damaged_checkpoint_does_not_take_the_place_of_the_good_one(halfway, record, monkeypatch):
    """Interrupted for a second time, before another good checkpoint is kept."""
    folder, current, previous = halfway
    current.write_bytes(current.read_bytes()[:-1])
    good = previous.read_bytes()
    original = runner.write

    def write(path, content):
        if path == current:
            raise KeyboardInterrupt
        original(path, content)

    monkeypatch.setattr(runner, "write", write)
    with pytest.warns(UserWarning, match="is damaged"), pytest.raises(KeyboardInterrupt):
        run(SMALL, folder)
    monkeypatch.undo()
    assert previous.read_bytes() == good
    resumed = run(SMALL, folder)
    assert resumed.differences(record) == []
    assert resumed.provenance["resumed"] == 1


@settings(deadline=None, max_examples=150)
@given(data=st.data())
def test_no_flipped_bit_of_a_checkpoint_goes_unnoticed(stopped, tmp_path_factory, data):
    whole = stopped / f"checkpoints/{SMALL.name}.safetensors"
    content, checkpoints = whole.read_bytes(), Checkpoints(tmp_path_factory.mktemp("flipped"), SMALL)
    size = int.from_bytes(content[:8], "little") + 8
    at = data.draw(st.one_of(st.integers(0, size - 1), st.integers(size, len(content) - 1)))  # the header as often as the rest
    damaged = checkpoints.folder / whole.name
    damaged.parent.mkdir()
    damaged.write_bytes(content[:at] + bytes([content[at] ^ 1 << data.draw(st.integers(0, 7))]) + content[at + 1 :])
    with pytest.warns(UserWarning, match="is damaged"):
        assert checkpoints.load() is None


def test_a_checkpoint_of_other_versions_is_told_and_not_used(halfway, record, monkeypatch):
    here = runner.versions("cpu")
    monkeypatch.setattr(runner, "versions", lambda device: {**here, "torch": "1.0", "processor": "another"})
    with pytest.warns(UserWarning, match="was begun with another") as told:
        anew = run(SMALL, halfway[0])
    assert str(told[0].message) == f"{SMALL.name} was begun with another torch, processor; it starts anew"
    assert anew.provenance["resumed"] == 0
    assert anew.provenance["torch"] == "1.0"
    assert anew.differences(record) == []


def test_a_checkpoint_of_other_data_is_told_and_not_used(tmp_path):
    study = own_scene(tmp_path)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Checkpoints, "drop", lambda checkpoints: None)
        first = run(study, tmp_path / "results")
    first.path.unlink()
    own_scene(tmp_path, seed=1)
    with pytest.warns(UserWarning, match="was begun with another checksum; it starts anew"):
        second = run(study, tmp_path / "results")
    assert second.differences(run(study, tmp_path / "elsewhere")) == []
    assert "study" in second.differences(first)


# Faults


def newer(content):
    return content | {"format": records.FORMAT + 1}


def other_data(content):
    other = {"checksum": "f00d" * 16}
    return content | {"study": content["study"] | other, "provenance": content["provenance"] | other}


def other_value(content):
    return content | {"study": content["study"] | {"epochs": 99}}


def unknown_field(content):
    return content | {"study": content["study"] | {"scheduler": 1}}


FAULTS = {
    "a newer format": (newer, "was written by a newer cpdgal; update cpdgal to read it"),
    "other data": (other_data, r"was made from other data \(f00df00df00d\) than synthetic holds now \([0-9a-f]{12}\)"),
    "another study": (other_value, "holds the study .*, not that of its name"),
    "a field that is not known": (unknown_field, "is not a whole record .*a study has no 'scheduler'"),
    "a part that is missing": (lambda content: {k: v for k, v in content.items() if k != "queried"}, "is not a whole record"),
    "no object": (lambda content: [1, 2], "is not a whole record"),
    "another form": (lambda content: content | {"study": "SMALL"}, "is not a whole record"),
    "a table of another form": (lambda content: content | {"cycles": 3}, "is not a whole record"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_record_that_cannot_be_used_is_told_and_left_alone(record, folder, tmp_path, fault):
    results = shutil.copytree(folder, tmp_path / "results")
    path = results / record.path.name
    change, said = FAULTS[fault]
    path.write_text(json.dumps(change(json.loads(path.read_text()))))
    kept = contents(results)
    with pytest.raises(RecordError, match=f"^{re.escape(str(path))} {said}") as error:
        run(SMALL, results)
    assert "\n" not in str(error.value)
    assert contents(results) == kept


@pytest.mark.parametrize("end", [0, 1, 200, -1000, -3])
def test_a_record_that_was_cut_off_is_told_and_left_alone(record, folder, tmp_path, end):
    results = shutil.copytree(folder, tmp_path / "results")
    path = results / record.path.name
    path.write_bytes(path.read_bytes()[:end])
    kept = contents(results)
    with pytest.raises(RecordError, match=r"is not a whole record .*; move it away to run its study again$"):
        run(SMALL, results)
    with pytest.warns(UserWarning, match="^skipped: .* is not a whole record") as warned:
        assert Store(results, packaged=False).records() == []
    assert len(warned) == 1
    assert contents(results) == kept


def test_a_record_under_another_study_s_name_is_told_and_left_alone(record, tmp_path):
    other = SMALL.but(seed=1)
    shutil.copy(record.path, tmp_path / f"{other.name}.json")
    kept = contents(tmp_path)
    with pytest.raises(RecordError, match=f"holds the study {SMALL.name}, not that of its name") as error:
        run(other, tmp_path)
    one_sentence(error)
    assert contents(tmp_path) == kept


def test_a_record_that_is_a_folder_is_told(record, tmp_path):
    (tmp_path / record.path.name).mkdir()
    with pytest.raises(RecordError, match=r"cannot be read \(Is a directory\); check the file and its permissions$"):
        run(SMALL, tmp_path)


def test_a_study_of_other_data_than_the_scene_has_is_refused(tmp_path):
    with pytest.raises(RecordError, match=r"^the study is of synthetic with checksum 12345, and its data have \w{12}$"):
        run(SMALL.but(checksum="12345"), tmp_path)


@pytest.mark.parametrize("place", ["file", "file/below", "/proc/cpdgal"])
def test_a_store_that_cannot_be_written_is_told(tmp_path, monkeypatch, place):
    (tmp_path / "file").write_text("not a folder")
    monkeypatch.setattr(runner, "active_learning", None)  # it is told before anything is trained
    with pytest.raises(RecordError, match=r"\.lock cannot be written \(.+\); choose a folder that can be$") as error:
        run(SMALL, tmp_path / place)
    one_sentence(error)
    assert contents(tmp_path) == {"file": b"not a folder"}


def runs_short_of_room(telling, study, folder, n):
    """In a child: run a study, and let no file be larger than a kilobyte from its n-th checkpoint on."""
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    limit = partial(resource.setrlimit, resource.RLIMIT_FSIZE, (1000, hard))
    before(Checkpoints, "save", lambda *args: limit(), nth(n))
    try:
        run(study, folder, weights=True)
    except RecordError as error:
        telling.send(str(error))


@pytest.mark.parametrize("n", [1, 2, 4])
def test_a_run_that_has_no_room_left_is_told_and_goes_on_when_there_is(tmp_path, undisturbed, n):
    with Child(runs_short_of_room, SELDOM, tmp_path, n) as child:
        said = child.hear()
        assert child.wait() == 0
    assert re.fullmatch(
        r"/\S+\.safetensors could not be written \(File too large\); make room or choose another folder, and run the study "
        r"again: it goes on where it was saved last",
        said,
    )
    assert not list(tmp_path.rglob("*.part"))
    assert cycle_kept(tmp_path / f"checkpoints/{SELDOM.name}.safetensors") == n - 2
    assert goes_on(SELDOM, tmp_path, undisturbed("margin")) == (n > 1)


def test_a_full_disk_at_the_end_keeps_what_was_done(tmp_path, record):
    full = tmp_path / f".{SMALL.name}.json.part"
    full.symlink_to("/dev/full")
    with pytest.raises(RecordError, match=rf"{SMALL.name}\.json could not be written \(No space left on device\); make room"):
        run(SMALL, tmp_path)
    assert not list(tmp_path.rglob("*.part"))
    assert cycle_kept(tmp_path / f"checkpoints/{SMALL.name}.safetensors") == SMALL.cycles
    resumed = run(SMALL, tmp_path)
    assert resumed.differences(record) == []
    assert resumed.provenance["resumed"] == 1


def test_a_study_is_free_again_after_an_error_that_is_still_looked_at(tmp_path, monkeypatch):
    """As in a notebook, which keeps the last error and with it everything that was alive when it happened."""
    monkeypatch.setattr(runner, "active_learning", None)
    with pytest.raises(TypeError) as kept:
        run(SMALL, tmp_path)
    with FileLock(tmp_path / f"checkpoints/{SMALL.name}.lock", timeout=0):
        assert kept.tb
