"""Pictures while somebody draws: computed from the picture before, where the export can."""

import numpy as np
import pytest
import tensorflow as tf
from painted_double import Double, DoubleServer
from painted_export import paintable
from painting_page import Painting
from served_networks import SIZE, Z_DIM, clade, layouts
from starlette.testclient import TestClient

from spade_tf.export.errors import ExportError
from spade_tf.export.saved_model import export_saved_model
from spade_tf.export.signatures import ServedModel
from spade_tf.export.source_files import SourceFiles
from spade_tf.networks.editing import EditableGenerator
from spade_tf.networks.styles import seeded_styles
from spade_tf.serving.errors import BadRequestError
from spade_tf.serving.fronts.painter import Painter
from spade_tf.serving.fronts.rest_server import make_app
from spade_tf.serving.model.batching import MicroBatcher
from spade_tf.serving.model.drafts import Drafts, changed_rectangle
from spade_tf.serving.model.predictor import Predictor
from spade_tf.serving.model.versions import Servable
from spade_tf.serving.requests import Spec

STROKE = np.s_[0, 20:28, 30:44]
MINE, YOURS = "0" * 32, "1" * 32


@pytest.fixture(scope="module")
def exported(networks, tmp_path_factory):
    folder = tmp_path_factory.mktemp("drafts") / "tiny"
    version = export_saved_model(networks[0], folder, encoder=networks[1], drafts=True)
    return paintable(version, tmp_path_factory.mktemp("painted"))


@pytest.fixture(scope="module")
def predictor(exported):
    predictor = Predictor(exported, drafts=True)
    yield predictor
    predictor.close()


def maps(stroke=None, seed=3):
    """A map with a stroke, and a style."""
    label = layouts(1)
    if stroke is not None:
        label[stroke] = 4
    z = seeded_styles(tf.constant([seed], tf.int64), Z_DIM).numpy()
    return {"label": label, "instance": label.copy(), "z": z}


def draft(predictor, drawing, exact=False, **what):
    inputs = {**maps(**what), "drawing": np.array(drawing), "exact": np.array(exact)}
    inputs["signature"] = np.array("generate_with_style")
    return predictor.run("draft", inputs)["image"]


def whole(predictor, **what):
    return predictor.run("generate_with_style", maps(**what))["image"]


def test_an_exact_one_is_the_picture(predictor):
    np.testing.assert_array_equal(draft(predictor, MINE), whole(predictor))
    draft(predictor, MINE, stroke=STROKE)
    made = draft(predictor, MINE, exact=True, stroke=STROKE)
    np.testing.assert_array_equal(made, whole(predictor, stroke=STROKE))


def test_a_draft_is_an_edit_of_the_picture_before(predictor, networks):
    before = draft(predictor, MINE, exact=True)
    made = draft(predictor, MINE, stroke=STROKE).astype(int)
    editor = EditableGenerator(networks[0])
    old, new = maps(), maps(stroke=STROKE)
    z = tf.constant(old.pop("z"))
    edited = editor.edit(editor.paint(old, z), {k: new[k] for k in ("label", "instance")})
    # Half a level for rounding, the rest for the order of sums.
    assert np.abs(made - (edited.image.numpy() + 1) * 127.5).max() <= 0.51
    changed = np.flatnonzero((made != before).any((0, 2, 3)))
    # The stroke, an edge on both sides, and what it reaches: a cell of the coarsest blocks.
    assert 0 < len(changed) < SIZE
    assert (made[STROKE] != before[STROKE]).any()


def test_painters_do_not_see_each_other(predictor):
    mine = draft(predictor, MINE, exact=True)
    draft(predictor, YOURS, exact=True, seed=8)
    # The same map again takes no time, and changes nothing.
    np.testing.assert_array_equal(draft(predictor, MINE), mine)
    np.testing.assert_array_equal(draft(predictor, MINE, seed=8), whole(predictor, seed=8))


def test_the_rectangle_of_what_changed():
    size = np.array([[0, 0], [SIZE, SIZE]])
    before, after = maps(), maps(stroke=STROKE)
    after["instance"] = before["instance"]
    # The first and the last pixel that is not of class 4 already, and edges on both sides.
    where = np.argwhere(before["label"][0] != after["label"][0])
    expected = [where.min(0) - 1, where.max(0) + 2]
    np.testing.assert_array_equal(changed_rectangle(before, after), expected)
    del before["instance"], after["instance"]
    expected = [where.min(0), where.max(0) + 1]
    np.testing.assert_array_equal(changed_rectangle(before, after), expected)
    np.testing.assert_array_equal(changed_rectangle(before, {**after, "z": after["z"] + 1}), size)
    assert changed_rectangle(before, before) is None


def test_of_many_drawings_the_latest_are_kept():
    specs = {
        "label": Spec("int32", (1, 2, 2)),
        "changed": Spec("int32", (2, 2)),
        "image": Spec("float32", (1, 2, 2, 3)),
        "feature_00": Spec("float32", (1, 1, 1, 4)),
    }
    asked = []

    def call(inputs):
        asked.append(inputs["changed"].tolist())
        return {"image": inputs["image"] + 1, "feature_00": inputs["feature_00"]}

    drafts = Drafts(call, specs)
    label = np.zeros((1, 2, 2), np.int32)
    painted = label.copy()
    painted[0, 1, 0] = 1
    for number in range(drafts.most + 1):
        drafts.picture(str(number), {"label": label}, exact=False)
    # The second one is still there, the first one is not.
    assert drafts.picture("1", {"label": painted}, exact=False).max() == 2
    assert drafts.picture("0", {"label": painted}, exact=False).max() == 1
    assert asked[-2:] == [[[1, 0], [2, 1]], [[0, 0], [2, 2]]]


def test_what_does_not_paint_does_not_load_them(exported):
    predictor = Predictor(exported)
    assert predictor.drafts is None
    assert "stage_draft" in predictor.signature_defs
    assert predictor.inputs.keys().isdisjoint({"draft", "stage_draft"})
    predictor.close()


class Versions:
    """Serves one predictor."""

    name = "tiny"

    def __init__(self, predictor):
        self.predictor = predictor

    def find(self, *_):
        batcher = MicroBatcher(self.predictor.run, max_rows=4, num_threads=1, max_queue=4)
        return Servable(1, self.predictor, batcher)

    dispatch = Double.dispatch


@pytest.fixture
def client(predictor):
    return TestClient(make_app(Versions(predictor).dispatch(), Painter(local=False)))


def body(stroke=None):
    given = maps(stroke)
    return given["label"].astype(np.uint8).tobytes() + given["z"].astype("<f4").tobytes()


def test_the_painter_asks_for_them(client, predictor):
    assert client.get("/painter/api/model").json()["drafts"] is True
    path = f"/painter/api/picture?height={SIZE}&width={SIZE}"
    exact = client.post(path, content=body(STROKE))
    for query in ("&format=jpeg", "&format=jpeg", "&format=png"):
        answer = client.post(f"{path}{query}&drawing={'a' * 32}", content=body(STROKE))
        assert answer.status_code == 200
    assert answer.content == exact.content
    half = f"/painter/api/picture?height={SIZE}&width={SIZE // 2}"
    answers = [
        client.post(half + query, content=body()[: SIZE * SIZE // 2] + body()[SIZE * SIZE :])
        for query in ("", f"&drawing={'a' * 32}")
    ]
    assert [each.status_code for each in answers] == [400, 400]
    assert answers[0].json() == answers[1].json()


@pytest.mark.parametrize("drawing", ["a" * 31, "g" * 32, "../" * 8, "a" * 33])
def test_a_drawing_has_a_plain_name(client, drawing):
    path = f"/painter/api/picture?height={SIZE}&width={SIZE}&drawing={drawing}"
    answer = client.post(path, content=body())
    assert answer.status_code == 400
    assert "give 32 digits or letters a to f" in answer.json()["error"]


def test_an_export_without_them_makes_each_picture_whole(painted_version):
    predictor = Predictor(painted_version, drafts=True)
    client = TestClient(make_app(Versions(predictor).dispatch(), Painter(local=False)))
    assert client.get("/painter/api/model").json()["drafts"] is False
    path = f"/painter/api/picture?height={SIZE}&width={SIZE}"
    drawn, plain = (
        client.post(path + query, content=body(STROKE)) for query in (f"&drawing={'a' * 32}", "")
    )
    assert (drawn.status_code, drawn.content) == (200, plain.content)
    predictor.close()


def test_what_cannot_make_them_is_not_exported(networks):
    with pytest.raises(
        ExportError, match=r"--drafts: only generators .* has conditioning=clade, norm="
    ):
        ServedModel(clade(), None, None, {}, drafts=True)
    maps = SourceFiles(condition_channels=3)
    with pytest.raises(ExportError, match="not of continuous maps"):
        ServedModel(networks[0], None, None, {}, files=maps, drafts=True).signatures()


@pytest.mark.browser
def test_the_page_names_its_drawing_where_it_helps(browser, tmp_path):
    """Strokes and their exact pictures have one name, variations and other pages do not."""
    with DoubleServer(tmp_path, Painter()) as server:
        server.double.drafts = object()
        painting = Painting(browser, server.url)
        for row in (10, 20):
            painting.changed(lambda row=row: painting.drag((10, row), (30, row)))
        names = {str(each.get("drawing")) for each in server.double.made}
        assert len(names) == 1
        assert len(names.pop()) == 32
        assert any(each["exact"] for each in server.double.made)
        server.double.made.clear()
        painting.page.locator("#vary").click()
        painting.page.locator("#variations li").nth(4).wait_for()
        assert not any("drawing" in each for each in server.double.made)
        painting.close()


@pytest.mark.browser
def test_an_error_goes_when_pictures_come_again(browser, tmp_path):
    with DoubleServer(tmp_path, Painter()) as server:
        painting = Painting(browser, server.url)
        make, server.double.run = server.double.run, refuse
        server.double.batcher = None
        painting.drag((10, 10), (30, 10))
        painting.page.get_by_text("No such luck.").wait_for()
        server.double.run, server.double.batcher = make, None
        painting.changed(lambda: painting.drag((10, 20), (30, 20)))
        assert painting.page.locator("#status").inner_text() == ""
        painting.close()


def refuse(*_):
    raise BadRequestError("no such luck")
