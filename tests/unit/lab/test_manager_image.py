"""The image is made once, and made anew where what it is made of has changed."""

from nanny_ops.lab import manager_image as module


def test_a_ready_image_is_taken_as_it_is(tmp_path, monkeypatch):
    built = []

    def build(root, suite, mirror, packages):
        built.append((suite, mirror, packages))
        root.mkdir()

    monkeypatch.setattr(module, "debootstrapped", build)
    monkeypatch.setattr(module, "_prepare", lambda root: None)
    first = module.manager_image(tmp_path, mirror="http://mirror.example.com/debian")
    assert module.manager_image(tmp_path, mirror="http://mirror.example.com/debian") == first
    assert built == [("trixie", "http://mirror.example.com/debian", module.PACKAGES)]
    assert first.name.startswith("managers-trixie-")
