"""What is looked up once is found as before, and so is what is added in between."""

from pathlib import Path

from jsonargparse import ArgumentParser, _subcommands, _util

from components import FourierHead
from framework.console import lookups


def test_an_option_is_found_once_it_is_added():
    parser = ArgumentParser()
    with lookups.once():
        assert _subcommands.find_action(parser, "dim") is None
        option = parser.add_argument("--dim", type=int)
        assert _subcommands.find_action(parser, "dim") is option
        assert _subcommands.find_action(parser, "dim") is option
    assert _subcommands.find_action_and_subcommand is lookups.FIND


def test_a_class_and_its_methods_keep_their_paths():
    with lookups.once():
        for _ in range(2):
            assert _util.get_import_path(FourierHead) == "components.FourierHead"
            assert _util.get_import_path(Path.cwd) == "pathlib.Path.cwd"
    assert _util.get_import_path is lookups.PATH
