"""Render a pedestrian's head: hair, face and hat, from the viewer's side."""

from harness.drawn.layers import darker, plain
from harness.drawn.people import Body, Clothes
from harness.drawn.pose import Sketch

CROWN = 0.925  # height of the head's center


def draw_head(sketch: Sketch, body: Body, clothes: Clothes) -> None:
    """Draw face over hair from the front, hair over face from behind, and the hat over both."""
    if sketch.view.cos < 0:
        _face(sketch, body)
        _scalp(sketch, body)
    else:
        _scalp(sketch, body)
        _face(sketch, body)
    _hat(sketch, body.head, clothes)


def draw_back_hair(sketch: Sketch, body: Body) -> None:
    """Draw hair that hangs down the back: before the torso in a front view, after it in a back view."""
    hair = plain(body.hair)
    if body.hairstyle == "long":
        half = sketch.width(0.066, 0.03)
        sketch.trunk((0.0, CROWN + 0.02, -0.035), (0.0, 0.735, -0.07), (0.75 * half, half, 0.7 * half), 0.25, hair)
    elif body.hairstyle == "tail":
        sketch.limb((0.0, CROWN + 0.01, -0.06), (0.0, 0.77, -0.09), 0.022, 0.013, hair)
    elif body.hairstyle == "bob":
        half = sketch.width(0.068, 0.05)
        sketch.trunk((0.0, CROWN + 0.02, -0.02), (0.0, 0.85, -0.025), (0.9 * half, half, half), 0.2, hair)


def _scalp(sketch: Sketch, body: Body) -> None:
    color = body.skin if body.hairstyle == "bald" else body.hair
    wide, tall = {"afro": (0.082, 0.084), "bob": (0.066, 0.074)}.get(body.hairstyle, (0.056, 0.067))
    sketch.ball((0.0, CROWN + 0.008, -0.012), wide * body.head, tall * body.head, plain(color))
    if body.hairstyle == "bun":
        sketch.ball((0.0, CROWN + 0.07 * body.head, -0.035), 0.027, 0.025, plain(darker(color, 0.9)))


def _face(sketch: Sketch, body: Body) -> None:
    view, skin, size = sketch.view, body.skin, body.head
    front = 0.012 if body.hairstyle == "bald" else 0.02
    wide = sketch.width(0.046, 0.04) * size
    sketch.ball((0.0, CROWN - 0.016, front), wide, 0.058 * size, plain(skin), shade=0.22)
    if view.cos < -0.3:
        return
    if body.beard:
        sketch.ball((0.0, CROWN - 0.059, front + 0.006), 0.75 * wide, 0.019 * size, plain(darker(body.hair, 1.2)))
    for side in (-1.0, 1.0):
        if view.depth(side * 0.02, 0.045) > 0.012:
            sketch.ball((side * 0.019, CROWN - 0.004, 0.052), 0.0075, 0.005, plain((0.12, 0.09, 0.08)), shade=0.0)
    sketch.ball((0.0, CROWN - 0.02, 0.062), 0.009, 0.012, plain(darker(skin, 0.9)), shade=0.0)
    if view.cos > 0.3 and not body.beard:
        lips = (0.75 * skin[0], 0.5 * skin[1], 0.5 * skin[2])
        sketch.ball((0.0, CROWN - 0.044, 0.055), 0.015 * view.cos, 0.004, plain(lips), shade=0.0)


def _hat(sketch: Sketch, size: float, clothes: Clothes) -> None:
    if clothes.hat == "none":
        return
    color, wide = clothes.hat_color, 0.061 * size
    rim = (0.0, CROWN + 0.018 * size, -0.004)
    sketch.trunk((0.0, CROWN + 0.084 * size, -0.006), rim, (0.8 * wide, wide, wide), 0.75, plain(color))
    if clothes.hat == "beanie":
        fold = (0.0, CROWN + 0.036 * size, -0.004)
        sketch.trunk(fold, rim, (1.05 * wide, 1.07 * wide, 1.05 * wide), 0.0, plain(darker(color, 0.78)))
    elif clothes.hat == "brim":
        sketch.ball(rim, 1.75 * wide, 0.016, plain(darker(color, 0.85)))
    elif sketch.view.cos > -0.4:  # a cap's peak
        peak = (0.0, CROWN + 0.022 * size, 0.075)
        sketch.ball(peak, sketch.width(0.05, 0.034) * size, 0.013, plain(darker(color, 0.75)))
