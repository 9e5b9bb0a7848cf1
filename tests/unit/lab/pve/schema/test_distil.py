"""Making the table out of a schema file."""

import json

from nanny_ops.lab.pve.schema.distil import distil, render

TEXT = {"type": "string", "description": "Long words.", "typetext": "<string>", "maxLength": 4}
TREE = [
    {
        "path": "/things",
        "children": [
            {
                "path": "/things/{id}",
                "info": {
                    "GET": {
                        "description": "Read it.",
                        "parameters": {"properties": {"id": TEXT, "other": {**TEXT, "description": "Else."}}},
                        "permissions": {"check": ["perm", "/", ["Sys.Audit"]], "description": "May look."},
                        "protected": 1,
                        "proxyto": "node",
                        "returns": {"type": "array", "links": [{"href": "{name}", "rel": "child"}]},
                    }
                },
            }
        ],
    }
]


def test_facts_are_kept_and_words_are_not() -> None:
    table = distil({"8.4": TREE})
    assert table["parameters"] == [{"maxLength": 4, "type": "string"}]
    assert table["permissions"] == [{"check": ["perm", "/", ["Sys.Audit"]]}]
    call = table["methods"]["8.4"]["GET /things/{id}"]
    assert call == {"p": {"id": 0, "other": 0}, "a": 0, "d": 1, "n": "node", "r": "array", "l": "name"}


def test_what_is_written_can_be_read_again() -> None:
    table = distil({"8.4": TREE, "9.2": TREE})
    assert json.loads(render(table)) == table
