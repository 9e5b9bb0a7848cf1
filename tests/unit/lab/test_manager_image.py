"""The image is made once, and made anew where what it is made of has changed."""

from nanny_ops.lab import manager_image as module


def test_a_ready_image_is_taken_as_it_is(tmp_path, monkeypatch):
    built = []

    def build(argv, deadline):
        built.append((argv[0], deadline))
        (tmp_path / argv[4]).mkdir(parents=True)

    monkeypatch.setattr(module, "must", build)
    monkeypatch.setattr(module, "_prepare", lambda root: None)
    first = module.manager_image(tmp_path, mirror="http://mirror.example.com/debian")
    assert module.manager_image(tmp_path, mirror="http://mirror.example.com/debian") == first
    assert built == [("debootstrap", module.BUILD_DEADLINE)]
    assert first.name.startswith("managers-trixie-")
