"""Arguments of generators, for tests that go through tables of them."""

from spade_tf.layers.conditioning import Conditioning

PLAIN = Conditioning("none", norm="instance")


def conditioned(default=Conditioning(), **arguments):  # noqa: B008
    """Arguments with one `Conditioning` in place of its parts.

    Args:
        default: `Conditioning()` for the SPADE generator, `PLAIN` for that of pix2pixHD.
        arguments: of a generator or a block, and parts of its `Conditioning`, `conditioning` being
            its kind.
    """
    parts = {name: arguments.pop(name) for name in Conditioning._fields if name in arguments}
    kind = arguments.pop("conditioning", default.kind)
    return {**arguments, "conditioning": default._replace(kind=kind, **parts)}
