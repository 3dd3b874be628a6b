# SPDX-License-Identifier: Apache-2.0
"""Calls by declared arity: the tables say what the specification says, and the compiler holds handlers to them."""

from __future__ import annotations

import re
import subprocess
import tempfile
from functools import cache
from pathlib import Path

import pytest
from workshop import compiler

PROJECT = Path(__file__).parents[3]
SOURCES = PROJECT / "images" / "rmm" / "src"
INCLUDE = PROJECT / "guest" / "abi"
NOT_SUPPORTED = (1 << 64) - 1
WARNING = re.compile(r"(?<=\s)-W(?!l,|frame)[a-z-]+")
ROW = re.compile(r"^\tX\((?P<id>\w+), (?P<inputs>\d+), (?P<outputs>\d), (?P<function>\w+)\)", re.MULTILINE)

# Argument registers from x1 on and result registers behind x0: DEN0137 1.0-rel0, B4.3, B5.3; PSCI 1.1 (DEN0022), 5.1.
RMI = {
    "RMI_DATA_CREATE": (5, 0), "RMI_DATA_CREATE_UNKNOWN": (3, 0), "RMI_DATA_DESTROY": (2, 2), "RMI_FEATURES": (1, 1),
    "RMI_GRANULE_DELEGATE": (1, 0), "RMI_GRANULE_UNDELEGATE": (1, 0), "RMI_PSCI_COMPLETE": (3, 0),
    "RMI_REALM_ACTIVATE": (1, 0), "RMI_REALM_CREATE": (2, 0), "RMI_REALM_DESTROY": (1, 0), "RMI_REC_AUX_COUNT": (1, 1),
    "RMI_REC_CREATE": (3, 0), "RMI_REC_DESTROY": (1, 0), "RMI_REC_ENTER": (2, 0), "RMI_RTT_CREATE": (4, 0),
    "RMI_RTT_DESTROY": (3, 2), "RMI_RTT_FOLD": (3, 1), "RMI_RTT_INIT_RIPAS": (3, 1), "RMI_RTT_MAP_UNPROTECTED": (4, 0),
    "RMI_RTT_READ_ENTRY": (3, 4), "RMI_RTT_SET_RIPAS": (4, 1), "RMI_RTT_UNMAP_UNPROTECTED": (3, 1),
    "RMI_VERSION": (1, 2),
}  # fmt: skip
RSI = {
    "RSI_ATTESTATION_TOKEN_CONTINUE": (3, 1), "RSI_ATTESTATION_TOKEN_INIT": (8, 1), "RSI_FEATURES": (1, 1),
    "RSI_HOST_CALL": (1, 0), "RSI_IPA_STATE_GET": (2, 2), "RSI_IPA_STATE_SET": (4, 2),
    "RSI_MEASUREMENT_EXTEND": (10, 0), "RSI_MEASUREMENT_READ": (1, 8), "RSI_REALM_CONFIG": (1, 0),
    "RSI_VERSION": (1, 2),
}  # fmt: skip
PSCI = {
    "PSCI_AFFINITY_INFO": (2, 0), "PSCI_CPU_OFF": (0, 0), "PSCI_CPU_ON": (3, 0), "PSCI_CPU_SUSPEND": (3, 0),
    "PSCI_FEATURES": (1, 0), "PSCI_SYSTEM_OFF": (0, 0), "PSCI_SYSTEM_RESET": (0, 0), "PSCI_VERSION": (0, 0),
    "SMCCC_VERSION": (0, 0),
}  # fmt: skip
TABLES = {"rmi_commands.h": RMI, "rsi.c": RSI, "psci.c": PSCI}
EACH = [(table, name) for table, calls in TABLES.items() for name in calls]


def rows(table: str) -> dict[str, re.Match[str]]:
    """The lines of a table by the identifier's name."""
    return {row["id"]: row for row in ROW.finditer((SOURCES / table).read_text(encoding="utf-8"))}


def home(function: str) -> str:
    """The file that defines an RMI handler."""
    pattern = re.compile(rf"^uint64_t {function}\([^;]*\)\n{{", re.MULTILINE)
    (found,) = (path.name for path in SOURCES.glob("*.c") if pattern.search(path.read_text(encoding="utf-8")))
    return found


@cache
def unchanged(unit: str) -> subprocess.CompletedProcess[str]:
    """The unit as it is: what compiles with one table of handlers need not be asked for each of them."""
    with tempfile.TemporaryDirectory() as folder:
        return check(Path(folder), unit, unit, (SOURCES / unit).read_text(encoding="utf-8"))


def check(folder: Path, unit: str, table: str, text: str) -> subprocess.CompletedProcess[str]:
    """Compile source file `unit` with the Makefile's warnings, as if `table` (or it itself) had this text."""
    warnings = WARNING.findall((SOURCES.parent / "Makefile").read_text(encoding="utf-8"))
    assert {"-Werror", "-Wstrict-prototypes"} <= set(warnings)
    # From stdin: includes are looked for in the current folder first.
    (folder / table).write_text(text, encoding="utf-8")
    source = text if unit == table else (SOURCES / unit).read_text(encoding="utf-8")
    command = [compiler(), "-std=gnu11", *warnings, "-fsyntax-only", f"-I{SOURCES}", f"-I{INCLUDE}", "-x", "c", "-"]
    return subprocess.run(command, input=source, cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("table", TABLES)
def test_tables_say_what_the_specification_says(table):
    assert {name: (int(row["inputs"]), int(row["outputs"])) for name, row in rows(table).items()} == TABLES[table]


@pytest.mark.parametrize(("table", "name"), EACH)
def test_a_handler_of_another_arity_does_not_compile(tmp_path, table, name):
    text, row = (SOURCES / table).read_text(encoding="utf-8"), rows(table)[name]
    unit = home(row["function"]) if table == "rmi_commands.h" else table
    good = unchanged(unit)
    assert good.returncode == 0, good.stderr
    inputs, outputs = int(row["inputs"]), int(row["outputs"])
    for changed in ((inputs - 1 if inputs else 1, outputs), (inputs, 2 if outputs != 2 else 4)):
        line = f"\tX({name}, {changed[0]}, {changed[1]}, {row['function']})"
        refused = check(tmp_path, unit, table, text.replace(row[0], line))
        assert refused.returncode != 0, f"{name} compiles with {changed}"
        assert row["function"] in refused.stderr


def test_arguments_behind_the_last_are_not_looked_at(monitor, realm):
    junk = (0xDEAD_BEEF, NOT_SUPPORTED, 1, 0x1234_5678_9ABC_DEF0)
    page = monitor.page()
    assert monitor.rmi("delegate", page, *junk) == (0, 0, 0, 0, junk[2])
    assert monitor.rmi("version", 0x10000, *junk) == (0, 0x10000, 0x10000, 0, junk[2])
    assert monitor.rmi("read_entry", realm.rd, realm.RAM, 3, *junk) == monitor.rmi("read_entry", realm.rd, realm.RAM, 3)
    assert monitor.rmi("rec_aux_count", realm.rd, *junk) == (0, 0, 0, 0, junk[2])


def test_results_that_a_command_does_not_set_are_zero(monitor, realm):
    """But for x4, which hosts keep values in: zero only where a command has it as a result (docs/rmm.md)."""
    header = (SOURCES / "rmi.h").read_text(encoding="utf-8")
    for name, (_, outputs) in RMI.items() - {("RMI_VERSION", (1, 2))}:
        (number,) = re.findall(rf"^#define {name} +(0x\w+)U$", header, re.MULTILINE)
        status, *results = monitor.smc(int(number, 16), *[NOT_SUPPORTED] * 5)
        assert (status in {0, NOT_SUPPORTED}) == (name == "RMI_FEATURES"), name
        assert results == [0, 0, 0, 0 if outputs == 4 else NOT_SUPPORTED], f"{name} failed, and says more than that"
    assert monitor.smc(0xC400_0163, 1, 2, 3, 4) == (NOT_SUPPORTED, 0, 0, 0, 4)
    assert monitor.smc(0xC400_018F, 1, 2, 3, 4) == (NOT_SUPPORTED, 0, 0, 0, 4)
    assert monitor.rmi("version", 0x20000) == (1, 0x10000, 0x10000, 0, 0)
    assert monitor.rmi("data_destroy", realm.rd, realm.RAM)[3:] == (0, 0)
