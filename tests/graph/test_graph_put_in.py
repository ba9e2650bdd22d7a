"""What is put in, why, and where turns end."""

from __future__ import annotations

from retouch.graph.nodes import FromEngine, FromNode

SMALLEST = 'invert null_text | mask diffedit "cat"->"dog" | blend latent'


def names(graph):
    return [node.card.name for node in graph.nodes]


def reasons(graph):
    return {node.card.name: node.put_in for node in graph.nodes if node.put_in}


def test_the_smallest_recipe_is_completed_and_says_why(graph):
    assert reasons(graph(SMALLEST)) == {
        "open image": "the flow begins with the picture of the command line",
        "encode vae": "'invert null_text' works on latents",
        "guide cfg": "'invert null_text' needs guidance, and this turn has no 'guide'",
        "sample ddim": "'save image' needs the edited image",
        "decode vae": "'save image' needs an image",
        "save image": "a flow without a name is a result",
    }


def test_a_second_invert_begins_a_turn_in_latents(graph):
    found = graph('open "cat.png" | invert ddim "cat"->"dog" | invert ddim "dog"->"fox" | save "o.png"')
    assert names(found).count("decode vae") == 1
    assert names(found).count("encode vae") == 1
    second = found.node("invert.ddim#2")
    assert second.inputs["latents"] == FromNode("sample.ddim#1")
    assert second.turn == 2
    assert found.node("sample.ddim#1").put_in == "'invert ddim' begins another turn"


def test_what_a_stage_takes_besides_the_image_belongs_to_the_turn_it_ends(graph):
    found = graph('open "cat.png" | invert ddim "cat"->"dog" | mask diffedit | blend pixel | save "o.png"')
    pixel = found.node("blend.pixel#1").inputs
    assert pixel == {
        "image": FromNode("decode.vae#1"),
        "source": FromNode("open.image#1"),
        "mask": FromNode("mask.diffedit#1"),
    }
    assert found.node("decode.vae#1").inputs["latents"] == FromNode("sample.ddim#1")


def test_the_source_of_a_later_turn_is_decoded_from_its_latents(graph):
    found = graph(
        'open "cat.png" | invert ddim "cat"->"dog" | sample'
        ' | invert ddim | mask diffedit "dog"->"fox" | blend pixel | save "o.png"'
    )
    source = found.node(found.node("blend.pixel#1").inputs["source"].id)
    assert source.inputs["latents"] == FromNode("sample.ddim#1")


def test_a_mask_is_gone_after_its_turn(checked):
    found = checked('open "cat.png" | mask diffedit "cat"->"dog" | invert ddim | sample | invert ddim | blend latent')
    assert [item.code for item in found.errors] == ["RT319"]


def test_a_sample_behind_what_has_sampled_already_is_one_too_many(checked):
    text = 'open "cat.png" | invert ddim "cat"->"dog" | mask diffedit | blend pixel{} | save "o.png"'
    (error,) = checked(text.format(" | sample")).errors
    assert (error.code, error.help) == ("RT319", "move it before 'blend pixel', or leave it out")
    assert not checked(text.format("")).errors


def test_guidance_written_late_holds_for_the_whole_turn(graph):
    found = graph('invert null_text "cat"->"dog" | guide cfg guidance=3 | sample')
    assert found.node("invert.null_text#1").inputs["guidance"] == FromNode("guide.cfg#1")
    assert names(found).count("guide cfg") == 1


def test_guidance_composes_in_the_order_it_is_written(graph):
    found = graph('invert null_text "cat"->"dog" | guide pag | sample guidance=5')
    assert found.node("guide.pag#1").inputs["guidance"] == FromNode("guide.cfg#1")
    assert found.node("guide.cfg#1").options["guidance"] == 5
    assert found.node("sample.ddim#1").inputs["guidance"] == FromNode("guide.pag#1")


def test_a_flow_that_ends_with_a_mask_saves_the_mask(graph):
    found = graph('open "cat.png" | mask diffedit "cat"->"dog"')
    assert found.results == ("save.mask#1",)


def test_a_stage_after_a_new_image_works_on_that_image(graph):
    found = graph(
        'open "cat.png" | invert ddim "cat"->"dog" | mask diffedit | blend pixel'
        ' | invert ddim "dog"->"fox" | save "o.png"'
    )
    assert found.node("encode.vae#2").inputs["image"] == FromNode("blend.pixel#1")


def test_controls_and_blends_gather_in_order(graph):
    found = graph('invert ddim | attend p2p "cat"->"dog" | blend local | mask diffedit | blend latent')
    inputs = found.node("sample.ddim#1").inputs
    assert inputs["attend"] == (FromNode("attend.p2p#1"),)
    assert inputs["blend"] == (FromNode("blend.local#1"), FromNode("blend.latent#1"))


def test_the_engine_supplies_noise_by_seed_turn_and_stage(graph):
    found = graph('mask diffedit "cat"->"dog" | invert ddim | blend latent', settings={"seed": "7"})
    noise = found.node("mask.diffedit#1").inputs["noise"]
    assert noise == FromEngine("NoiseSource", {"seed": 7, "key": "1/mask diffedit/1"})
