"""Scenarios and command lines that are damaged, by chance or by malice: told in one line, or they do what they say."""

import contextlib
import io
import os
import random
import re
import shutil
import signal
import time
from pathlib import Path

import pytest

import emulator.command_line
import policies.command_line
import policies.training
from dispatchers.errors import LONGEST_LINE
from emulator.runs.run import load_plan
from emulator.runs.tasks import cells_of, extent_of
from emulator.scenario.yaml_tree import Place, read_text
from emulator.text import to_document, to_text

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 15.0
"""The most process time that a mutant may take which nothing is emulated of."""
SECONDS_OF_A_RUN = 180.0
"""The same where something is: code may have to be compiled first."""
PATIENCE = 600.0
"""Seconds after which a mutant waits for something that never comes, however slow the machine."""

OWN = {
    "own/everything.yaml": """\
name: everything
topology: {kind: torus, side: 3}
delta_t: 5
horizon: 12.5
buffer: 5
arrivals: {high: 0.9, low: 0.6, high_to_low: 0.2, low_to_high: 0.5}
service: {rates: [2, 1], assignment: random, work: hyperexponential, scv: 4}
dispatchers:
  - RND
  - {name: MF-R, policy: "trained/torus_{delta_t}.onnx", label: learned}
  - {name: JSQ, ties: job}
  - {name: JSQ-M, weight: sharing, bonus: 0.5}
  - {class: "mine:Keep", share: 0.5, file: edges.csv}
replications: 2
precision: 0.5
seed: 1
engine: auto
trace: {jobs: 1, epochs: 1, messages: 1}
plot: {title: "of {nodes} nodes", kind: columns, y_min: 0, y_max: 9, x_label: a, y_label: b}
""",
    "own/child.yaml": """\
extends: everything.yaml
topology: {side: [3, 4]}
delta_t: [2, 5]
service: {rate: 1}
dispatchers: [JSQ, {name: MF-R, rule: [0, 0.25, 0.5, 0.75, 1, 1]}, {class: "mine:Later"}]
plot:
  kind: lines
  x: nodes
  log_x: true
  interval: bars
  reference: {policy: "trained/torus_{delta_t}.onnx", key: score, label: score}
""",
    "own/edges.yaml": """\
topology: {kind: edge_list, edges: [[0, 1], [1, 2]], nodes: 4}
delta_t: 3
horizon: 6
dispatchers: [OWN, SED, RR]
replications: 1
""",
    "own/files.yaml": """\
topology: {kind: edge_list, path: [edges.csv, more.csv]}
delta_t: 3
horizon: 6
dispatchers: [{name: MF-R, policy: [trained/torus_1.onnx, trained/torus_5.onnx]}, SED]
replications: 1
""",
    "own/random.yaml": """\
topology:
- {kind: configuration_model, nodes: 10, degrees: [2, 3], seed: [1, 2]}
- {kind: bethe, depth: 2, degree: 3}
- {kind: cube_connected_cycle, order: 3}
delta_t: 5
horizon: 5
service: [{rate: 1}, {work: deterministic}]
dispatchers: [RND, {class: "strange:Shouts"}]
replications: 1
engine: simpy
""",
    "own/graphs.yaml": """\
topology:
- {kind: file, path: [edges.csv, odd.txt], simplify: true, latency: {distance: 200, missing: 1}}
- {kind: small_world, nodes: 9, degree: 4, rewire: 0.1, per: replication}
- {kind: leaf_spine, racks: 2, per_rack: 3, outside: 1, latencies: [0.1, 0.5]}
- {kind: grid, sides: [2, 3], wrap: false}
- {kind: edge_list, edges: [[0, 1], [1, 0]], directed: true, home: first, servers: 3}
- {kind: bipartite, schedulers: 4, servers: 6, choices: [2, 3], balanced: true}
delta_t: 5
horizon: 5
dispatchers: [RND, JSQ]
replications: 1
engine: simpy
""",
    "own/sweeps.yaml": """\
topology: {kind: torus, side: [3, 4]}
delta_t: [2, {from: 3, to: 5, linspace: 2}]
horizon: {from: 2, to: 8, logspace: 3}
seed: [1, 2]
buffer: {from: 3, to: 4, step: 1}
zip: [[topology.side, seed], [delta_t, horizon, dispatchers.2.weight]]
dispatchers:
  - {name: JSQ, ties: [epoch, job]}
  - {class: "mine:Keep", share: {from: 0, to: 1, step: 0.5}, label: keep}
  - {name: JSQ-M, weight: [1, 2, sharing], bonus: 0}
replications: 1
plot: {x: delta_t}
""",
    "own/part.yaml": "extends: sweeps.yaml\nhorizon: {linspace: 3}\nzip: [seed, topology.side]\nseed: [1, 2]\n",
    "own/servers.yaml": """\
topology: {kind: cycle, nodes: 4}
delta_t: 5
horizon: 5
buffer: 4
server: {servers: [1, 2], discipline: fifo, order: {priority: [short, long], preempt: resume}}
service: {rate: 1, speeds: [1, 1.5, 2]}
classes:
- {name: short, share: 0.75, priority: 0, work: {law: exponential, mean: 0.5}}
- {name: long, share: 0.25, priority: 1, work: 2.5}
patience: {law: deterministic, mean: 3, of: sojourn, work: go_on}
failures: {up: {law: exponential, mean: 4}, down: 1, group: 2, jobs: restart, while_down: refuse, told: true}
dispatchers: [RND, JSQ]
replications: 1
engine: simpy
""",
    "own/odd.txt": "# odd\na b 1\nb a 2\n\nb b\n",
    "own/training.yaml": """\
topology: {kind: cycle, nodes: 5}
delta_t: [1, 5]
dispatchers: [RND]
training: {algorithm: [MF-R, STATIC], preset: fast, iterations: 2, hidden: [4, 4], graphs: 1, score: score.yaml}
plot: {kind: learning_curve, x: seconds}
""",
    "own/score.yaml": "topology: {kind: cycle, nodes: 7}\ndelta_t: [1, 5]\ndispatchers: [RND]\n",
    "own/edges.csv": "source,target\n0,1\n1,2\n",
    "own/more.csv": "0,1\n1,2\n2,0\n",
    "own/mine.py": """\
import numpy as np
from dispatchers import Dispatcher, PerJobDispatcher

class Keep(Dispatcher):
    def __init__(self, share=0.5, file=None, **others):
        self.share = share

    def route(self, view):
        return self.share * view.own() + (1 - self.share) * view.uniform()

class Later(PerJobDispatcher):
    def plan(self, view):
        return np.zeros((*view.accessible.shape, 1))

    @staticmethod
    def choose(job):
        return job.total_sent % len(job.order)
""",
    "own/strange.py": """\
import sys
from dispatchers import Dispatcher

class Shouts(Dispatcher):
    def __init__(self, text="", **options):
        if options or text:
            raise ValueError(f"\\x1b[31m{text}{options}\\n" * 1000)

    def route(self, view):
        return view.own()

class Exits(Dispatcher):
    def __init__(self, *options):
        sys.exit(0)

class MuteError(Exception):
    def __str__(self):
        raise self

class Mute(Dispatcher):
    def route(self, view):
        raise MuteError

class Endless(Dispatcher):
    def __init__(self):
        self.__init__()
""",
    "own/exits.py": "import sys\nsys.exit('\\x1b[2J' * 1000)\n",
    "own/broken.py": "def\x0c(:\n",
}
"""Every key of a scenario, and files that these name."""

KEYS = sorted(
    {*re.findall(r"\b([a-z][a-z_]+):", "".join(OWN.values())), "folder", "edges", "paired_precision", "observation"}
    | {"training.hidden", "service.rate", "5", "0x10", "1e3", "", ".", "<<", "\u202egnp", "k" * 300, "a\nb", "{nodes}"}
)
FILES = (
    *("/proc/kmsg", "/dev/zero", "/proc/self/mem", "/dev/stdin", "pipe", "../own/pipe", ".", "..", "/", "~", "missing"),
    *("x" * 300, "x" * 5000, "big.yaml", "own.onnx", "edges.csv", "everything.yaml", "child.yaml", "score.yaml"),
    *("trained/torus_5.onnx", "trained/sac_3_5_1.onnx", "trained/mf_rnn_5.onnx", "mine.py", "{delta_t}", "a\tb.yaml"),
)
CLASSES = (
    *("mine:Keep", "mine:Later", "mine:Nobody", "strange:Shouts", "strange:Exits", "strange:Mute", "strange:Endless"),
    *("exits:Any", "broken:Any", "os:PathLike", "numpy:ndarray", "dispatchers:Dispatcher", "dispatchers:View"),
    *("pytest:Item", "antigravityy:X", "x" * 300 + ":X", "é:É", "mine.Keep", "mine:", "pipe:X", "own.mine:Keep"),
)
TEXTS = (
    *("", " ", "a b", "null", "1", "JSQ", "jsk", "MF-R", "SAC", "torus", "cycle", "given", "lines", "delta_t", "nodes"),
    *("\x1b[31mred\x1b[0m", "two\nlines\r", "\u202egnp.exe", "x" * 100, "x" * 300, "e\u0301" * 60, "\U0001f600"),
    *("{nodes}", "{", "}}", "{0}", "{nodes!r}", "{nodes:>9999999}", "{topology.side}", "%s", "${HOME}", "$x^{"),
    *("\0", "\ud800", "\udcff", "\u2028", "\x85", "../../x", "a/b", "-", "=", "#", "&a", "*a", "!t", "2026-11-23"),
)
MARKS = ("{", "}", "[", "]", ": ", "- ", ", ", "\n", "\t", "'", '"', "#", "&a ", "*a", "!t ", "|\n", "---\n", "? ")
NUMBERS = (
    *(0, 1, 2, 3, 4, 7, 10, 50, 101, 1000, 10_000, 10_001, 2**31, 2**32 - 1, 2**32, 2**63, 2**64, 10**30, 10**390),
    *(-1, -(2**63), -0.0, 0.5, 0.9999999, 1.5, 2.5, 5.0, 1e-5, 1e-17, 1e-200, 1e-310, 5e-324, 1e9, 1e15, 1e22, 1e308),
    *(float("nan"), float("inf"), float("-inf"), True, False, None),
)


USUAL = (1, 2, 3, 4, 5, 7, 10, 0.1, 0.5, 0.9, 1.5, 2.5, 1e-3, 1e-310, True)
"""Numbers that go with many keys."""

LONG = ("x" * 100, "y" * 100, "e\u0301" * 50, "\U0001f600" * 100, "a  b", "z" * 99)
"""Labels of the greatest length."""


def flipped(content, chance):
    """Change up to 4 bytes."""
    changed = bytearray(content)
    for _ in range(chance.randint(1, 4)):
        changed[chance.randrange(len(changed))] = chance.randrange(256)
    return bytes(changed)


def cut(content, chance):
    """Leave out some bytes, the end in half of all cases."""
    start, end = sorted(chance.randrange(len(content) + 1) for _ in range(2))
    return content[:start] + (content[end:] if chance.random() < 0.5 else b"")


def inserted(content, chance):
    """Put in some bytes: marks of YAML, strange texts, or any."""
    place = chance.randrange(len(content) + 1)
    text = chance.choice([*MARKS, *MARKS, *TEXTS]).encode("utf-8", "surrogatepass")
    new = chance.choice([text, text, chance.randbytes(chance.randint(1, 9)), b"[" * chance.randint(1, 3000)])
    return content[:place] + new + content[place:]


def moved_lines(content, chance):
    """Swap two lines, double one, leave one out, or indent one otherwise."""
    lines = content.split(b"\n")
    first, second = (chance.randrange(len(lines)) for _ in range(2))
    how = chance.randrange(4)
    if how == 0:
        lines[first], lines[second] = lines[second], lines[first]
    elif how == 1:
        lines.insert(second, lines[first])
    elif how == 2:
        del lines[first]
    else:
        lines[first] = b" " * chance.randint(1, 3) + lines[first].lstrip()
    return b"\n".join(lines)


def another_scalar(content, chance):
    """Write another scalar over a word or a number of the text, as it is."""
    words = list(re.finditer(rb"[\w.+-]+", content))
    if not words:
        return b"{}"
    word = chance.choice(words)
    new = chance.choice([repr, to_text])(strange_scalar(chance)).encode("utf-8", "surrogatepass")
    return content[: word.start()] + new + content[word.end() :]


def strange_scalar(chance):
    return chance.choice(chance.choice([TEXTS, NUMBERS, NUMBERS, FILES, CLASSES]))


def strange_value(chance, depth=0):
    """Return plain data: mostly scalars, but also lists, mappings, what is deep and what is long."""
    how = chance.randrange(12)
    if depth == 3 or how < 8:
        return strange_scalar(chance)
    if how == 8:
        return [strange_value(chance, depth + 1) for _ in range(chance.randrange(4))]
    if how == 9:
        return {chance.choice(KEYS): strange_value(chance, depth + 1) for _ in range(chance.randrange(4))}
    if how == 10:
        value = strange_scalar(chance)
        for level in range(chance.choice([3, 15, 25, 200])):
            value = [value] if level % 2 else {"a": value}
        return value
    return chance.choice([list(range(1, chance.choice([5, 30, 300]))), [1.5] * 300, [[0, 1]] * 3, ["x" * 50] * 20])


def places_in(tree, path=()):
    """Yield the path of every value below the whole tree."""
    for key, value in tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ():
        yield (*path, key)
        yield from places_in(value, (*path, key))


def parent_of(tree, path):
    for key in path[:-1]:
        tree = tree[key]
    return tree


def another_tree(content, chance):
    """Change up to 3 values of the parsed tree: replace, delete, add, double, move or wrap them."""
    tree = copied(read_text(content.decode(), lambda line, column: Place("parent", line, column)).plain)
    for _ in range(chance.choice([1, 1, 1, 2, 3])):
        places = list(places_in(tree))
        if not places:
            break
        path = chance.choice(places)
        holder, key = parent_of(tree, path), path[-1]
        how = chance.randrange(9)
        if how < 3:
            holder[key] = fitting_value(str(key), chance)
        elif how == 3:
            del holder[key]
        elif how == 4 and isinstance(holder, dict):
            new = chance.choice(KEYS)
            holder[new] = fitting_value(new, chance)
        elif how == 5:
            new = chance.choice(KEYS)
            tree[new] = fitting_value(new, chance)
        elif how == 6:
            holder[key] = [holder[key], fitting_value(str(key), chance)]
        elif how == 7:
            tree[str(chance.choice(path))] = holder[key]
        else:
            tree = {str(key): tree, **{inner: tree[inner] for inner in list(tree)[:2]}}
    return to_document(tree).encode()


def fitting_value(key, chance):
    """Return a value that stands well, or not so badly, under a key; or any."""
    if chance.random() < 0.25:
        return strange_value(chance)
    labels = (*TEXTS, *LONG)
    kinds = {"class": CLASSES, "name": TEXTS, "label": labels, "title": labels, "x_label": labels, "kind": TEXTS}
    kinds |= dict.fromkeys(("extends", "path", "policy", "score", "file", "folder"), FILES)
    values = kinds.get(key, chance.choice([NUMBERS, USUAL, USUAL]))
    return chance.choice(values) if chance.random() < 0.7 else chance.sample(values, 3)


def large(content, chance):
    """Add sweeps of many keys, and dispatchers with labels of the greatest length."""
    tree = copied(read_text(content.decode(), lambda line, column: Place("parent", line, column)).plain)
    for key in chance.sample(["high", "low", "high_to_low", "low_to_high"], chance.randrange(5)):
        section = tree.setdefault("arrivals", {})
        section[key] = chance.sample([0, 0.1, 1 / 3, 1e-310, 5e-324, 0.123456789012345], chance.randint(1, 3))
    for key in chance.sample(["delta_t", "horizon", "buffer"], chance.randrange(4)):
        tree[key] = chance.sample([5, 1, 2.5, 7.000000000000001, 1e-310, 3, 10_000], chance.randint(1, 2))
    if chance.random() < 0.5:
        tree["dispatchers"] = [
            {"name": chance.choice(["JSQ", "RND", "OWN", "RR"]), "label": f"{chance.choice(LONG)[1:]}{number}"}
            for number in range(chance.randint(1, 9))
        ]
    if chance.random() < 0.3:
        tree["trace"] = {"jobs": 1, "messages": 1}
    if chance.random() < 0.3:
        tree["name"] = "n" * 100
    return to_document(tree).encode()


def copied(value):
    """Return plain data that may be changed."""
    if isinstance(value, dict):
        return {key: copied(item) for key, item in value.items()}
    return [copied(item) for item in value] if isinstance(value, list) else value


MUTATIONS = (flipped, cut, inserted, moved_lines, another_scalar, another_scalar, large, *[another_tree] * 5)


def settings(tree, chance):
    """Return a `--set` text: a key that is there or not, and a value that goes with it or not; sometimes damaged."""
    path = chance.choice(list(places_in(tree)))
    dotted = ".".join(map(str, chance.choice([path, path, (*path, chance.choice(KEYS)), (chance.choice(KEYS),)])))
    text = f"{dotted}={to_text(fitting_value(str(path[-1]), chance))}"
    if chance.random() < 0.2:
        place = chance.randrange(len(text))
        text = text[:place] + chance.choice(TEXTS) + text[place + chance.randrange(3) :]
    return text


def is_argument(text):
    """Tell whether a text can be what a program was started with."""
    try:
        return b"\0" not in os.fsencode(text)
    except UnicodeEncodeError:
        return False


ARGUMENTS = [each for each in (*FILES, *TEXTS) if is_argument(each)]
"""What may stand in place of a scenario."""


def command_line(tree, chance, options):
    """Return options of a command line, mostly none."""
    said = []
    while chance.random() < 0.3:
        option = chance.choice(["--set", "--set", *options])
        value = settings(tree, chance) if option == "--set" else str(strange_scalar(chance))
        if is_argument(value):
            said.append(f"{option}={value}")
    return said


class TooLongError(BaseException):
    """A mutant takes too long; nobody catches this."""


@contextlib.contextmanager
def time_limit(seconds):
    def stop(number, frame):
        raise TooLongError

    timers = (signal.SIGPROF, signal.ITIMER_PROF, seconds), (signal.SIGALRM, signal.ITIMER_REAL, PATIENCE)
    before = [signal.signal(number, stop) for number, _, _ in timers]
    for _, timer, limit in timers:
        signal.setitimer(timer, limit)
    try:
        yield
    finally:
        for (number, timer, _), handler in zip(timers, before, strict=True):
            signal.setitimer(timer, 0)
            signal.signal(number, handler)


def said_by(main, arguments, seconds=SECONDS):
    """Return the exit status, the lines on standard output and those on standard error."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), time_limit(seconds):
        try:
            status = main(arguments)
        except SystemExit as stop:
            status = stop.code
    return status, out.getvalue().split("\n"), err.getvalue().split("\n")


def assert_well_said(status, out, err, *, has_run=False):
    """Check the promise of every command line; what has run may also fail in the end, which takes one line or more."""
    for line in [*out, *err]:
        assert line.isprintable()
        assert len(line) <= LONGEST_LINE
    if has_run and status == 1:
        return
    assert status in (0, 2)
    assert [bool(line) for line in err] == ([False] if status == 0 else [True, False])
    assert status == 0 or out == [""]


def files_in(folder):
    return sorted(os.fsencode(Path(place, name)) for place, _, names in os.walk(folder) for name in names)


def is_tiny(arguments):
    """Tell whether what a dry run let pass is emulated in no time."""
    options = emulator.command_line.parser().parse_args(arguments)
    plan = load_plan(
        options.scenario,
        engine=options.engine,
        seed=options.seed,
        replications=options.replications,
        settings=options.settings,
    )
    extent = extent_of(cells_of(plan))
    scenarios = [point.scenario for point in plan.points]
    looks = max(
        each.horizon / each.delta_t * point.node_count() for each, point in zip(scenarios, plan.points, strict=True)
    )
    return extent.episodes <= 40 and extent.jobs <= 20_000 and looks <= 1000


def tried_as_training(path, tree, chance):
    """Return whether a mutant is refused or would be learned."""
    options = ("--iterations", "--seed", "--evaluate", "--out", "--logs", "--workers", "--preset", "--observation")
    arguments = [str(path), "--quiet", *command_line(tree, chance, options)]
    before = files_in(".")
    status, out, err = said_by(policies.command_line.main, arguments)
    assert_well_said(status, out, err)
    assert files_in(".") == before
    return "refused by policies" if status else "would be learned"


def tried(path, content, tree, chance, engine):
    """Return what becomes of a mutant: it is refused, it would run, or it has run."""
    path.write_bytes(content)
    if chance.random() < 0.25:
        return tried_as_training(path, tree, chance)
    options = ("--seed", "--replications", "--workers", "--engine", "--out", "--cluster", "--fresh")
    arguments = [
        str(path) if chance.random() < 0.98 else chance.choice(ARGUMENTS),
        *command_line(tree, chance, options),
    ]
    before = files_in(".")
    status, out, err = said_by(emulator.command_line.main, [*arguments, "--dry-run"])
    assert_well_said(status, out, err)
    assert files_in(".") == before
    if status or chance.random() < 0.2:
        return "refused" if status else "would run"
    arguments = [each for each in arguments if not each.startswith(("--out", "--cluster", "--workers"))]
    arguments.append("--replications=1")
    if not is_tiny(arguments):
        return "would run"
    Path("results").mkdir()
    arguments += ["--quiet", "--workers=1", "--out=results/here", f"--engine={engine}"]
    status, out, err = said_by(emulator.command_line.main, arguments, SECONDS_OF_A_RUN)
    assert_well_said(status, out, err, has_run=True)
    assert bool(files_in("results")) == (status != 2)
    shutil.rmtree("results")
    assert files_in(".") == before
    return f"has run, status {status}"


def parents(folder):
    """Lay out scenarios in a folder; return the path and the content of each, those of the paper less often."""
    shutil.copytree(ROOT / "scenarios", folder / "scenarios")
    for name, content in OWN.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(content)
    os.mkfifo(folder / "own" / "pipe")
    (folder / "own" / "big.yaml").write_bytes(b"#" * 2**21)
    (folder / "own" / "own.onnx").write_bytes(b"onnx" * 9)
    documents = "".join(path.read_text() for path in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))])
    for name, block in re.findall(r"```yaml\n# file: (\S+)\n(.*?)```", documents, re.DOTALL):
        (folder / "own" / name).write_text(block)
    own = sorted((folder / "own").glob("*.yaml"))
    found = [*own * 3, *sorted((folder / "scenarios").rglob("*.yaml"))]
    return [(path, path.read_bytes()) for path in found if path.name != "big.yaml"]


def try_mutants(count, seed, engine, folder):
    chance = random.Random(seed)
    families = parents(folder)
    fates = []
    for number in range(count):
        path, content = families[number % len(families)]
        tree = read_text(content.decode(), lambda line, column: Place("parent", line, column)).plain
        mutation = chance.choice(MUTATIONS)
        mutant = path.with_name("mutant.yaml")
        begun = time.perf_counter()
        try:
            fates.append(tried(mutant, mutation(content, chance), tree, chance, engine))
        except BaseException as error:
            took = f"after {time.perf_counter() - begun:.1f} s"
            error.add_note(f"mutant {number} of seed {seed}: {mutation.__name__} of {path}, kept in {mutant}, {took}")
            raise
        mutant.unlink()
    return fates


@pytest.mark.parametrize(
    ("count", "seed", "engine"),
    [
        (200, 8, "simpy"),
        *(pytest.param(700, seed, "simpy", marks=pytest.mark.slow) for seed in range(2, 4)),
        pytest.param(200, 10, "auto", marks=pytest.mark.slow),  # most of whose time is spent compiling
    ],
)
def test_mutants_are_told_in_one_line_or_run(count, seed, engine, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(policies.training, "check_libraries", lambda: None)
    monkeypatch.setattr(policies.training.Trainings, "run", lambda *arguments: iter(()))
    fates = try_mutants(count, seed, engine, tmp_path)
    assert fates.count("refused") > 0.2 * count
    assert fates.count("would run") > 0.04 * count
    assert fates.count("refused by policies") > 0.05 * count
    assert fates.count("would be learned") > 0.02 * count
    assert fates.count("has run, status 0") > 0.003 * count
    assert capfd.readouterr() == ("", "")
