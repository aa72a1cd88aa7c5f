"""Errors of the body stay what they are, and carry what only the cluster knows."""

from __future__ import annotations

MAIN = """
    import mylib
    env = environment(1)

    @env.task
    async def main() -> int:
        return distributed.get_client().submit(mylib.{function}).result()
"""
FILES = {
    "mylib.py": """
        def fails():
            error = ValueError("no such number")
            error.add_note("ask again tomorrow")
            raise error

        def imports():
            import flyte
    """
}


def test_a_user_s_error_keeps_its_type_its_message_and_its_notes(job):
    outcome = job(MAIN.format(function="fails"), FILES).run()
    assert outcome.error is not None, outcome.log
    assert (outcome.error.code, outcome.error.origin) == ("ValueError", "USER")
    assert "no such number" in outcome.error.message
    assert "ask again tomorrow" in outcome.error.message


def test_a_module_that_workers_lack_is_explained(job):
    outcome = job(MAIN.format(function="imports"), FILES).run()
    assert outcome.error is not None, outcome.log
    assert (outcome.error.code, outcome.error.origin) == ("ModuleNotFoundError", "USER")
    assert "No module named 'flyte'" in outcome.error.message
    assert "install it in the nodes' image" in outcome.error.message
