"""Render a pedestrian as layers: a jointed, dressed 3-D body, projected and drawn from far to near."""

import math
from dataclasses import replace

from harness.drawn.head import draw_back_hair, draw_head
from harness.drawn.layers import Fabric, Layer, darker, plain, shadow
from harness.drawn.luggage import draw_backpack, draw_bag, draw_strap
from harness.drawn.people import Body, Person
from harness.drawn.pose import Joint, Pose, Sketch
from harness.drawn.raster import OPEN, SOLID

SHOULDER, CHIN = 0.815, 0.868
UPPER_ARM, FOREARM = 0.165, 0.15
SOLE = 0.035  # height of the ankle


def figure(person: Person, pose: Pose) -> list[Layer]:
    """Return the layers of one pedestrian, from the shadow on the ground to the bag in front."""
    return _Figure(person, replace(pose, scale=pose.scale * person.body.stature)).layers


class _Figure:
    """Layers of one pedestrian, collected while its parts are drawn. Sides: +1 is the person's left, -1 the right."""

    def __init__(self, person: Person, pose: Pose) -> None:
        self.body, self.clothes = person.body, person.clothes
        self.swing = self.body.stride * math.sin(pose.phase)
        self.shoulder_width = 0.105 * self.body.shoulders * (0.6 + 0.4 * self.body.girth)
        self.hip_width = 0.078 * self.body.hips * (0.5 + 0.5 * self.body.girth)
        lift = math.cos(pose.phase)
        legs = {side: _leg_joints(self.body, self.hip_width, side, self.swing, lift) for side in (-1.0, 1.0)}
        # The lower of the two feet carries the body.
        self.sketch = Sketch(pose, drop=min(ankle[1] for _, _, ankle in legs.values()) - SOLE)
        self.view = self.sketch.view
        self._draw(legs)
        self.layers = self.sketch.layers

    def _draw(self, legs: dict[float, tuple[Joint, Joint, Joint]]) -> None:
        sketch, view = self.sketch, self.view
        far = 1.0 if view.sin > 0 else -1.0
        behind = view.cos < 0
        backpack = self.clothes.bag == "backpack"
        sketch.layers.append(shadow(view.point(0.02, 0.0, 0.0), 0.17 * sketch.scale, 0.035 * sketch.scale, 0.45))
        for side in sorted(legs, key=lambda side: view.depth(legs[side][2][0], legs[side][2][2])):
            self._leg(*legs[side], dim=0.8 if side == far else 1.0)
        if not behind:
            if backpack:
                draw_backpack(sketch, self.clothes)
            draw_back_hair(sketch, self.body)
        self._arm(far, dim=0.78)
        self._torso()
        self._straps()
        self._arm(-far, dim=0.94)
        draw_head(sketch, self.body, self.clothes)
        if behind:
            draw_back_hair(sketch, self.body)
            if backpack:
                draw_backpack(sketch, self.clothes)

    def _leg(self, hip: Joint, knee: Joint, ankle: Joint, dim: float) -> None:
        limb, clothes = self.sketch.limb, self.clothes
        girth = 0.6 + 0.4 * self.body.girth
        skin, lower = plain(darker(self.body.skin, dim)), _dim(clothes.lower, dim)
        heel, toe = (ankle[0], ankle[1] - 0.012, ankle[2] - 0.01), (ankle[0], ankle[1] - 0.022, ankle[2] + 0.085)
        limb(heel, toe, 0.024, 0.019, plain(darker(clothes.shoes, dim)))
        if clothes.legwear == "trousers":
            limb(knee, ankle, 0.047 * girth, 0.033, lower)
            limb(hip, knee, 0.062 * girth, 0.047 * girth, lower)
            return
        limb(knee, ankle, 0.037 * girth, 0.022, skin)
        limb(hip, knee, 0.052 * girth, 0.038 * girth, skin)
        if clothes.legwear == "shorts":
            limb(hip, _between(hip, knee, 2 * clothes.legwear_length), 0.064 * girth, 0.053 * girth, lower)

    def _torso(self) -> None:
        sketch, clothes, girth, legs = self.sketch, self.clothes, self.body.girth, self.body.legs
        hips = sketch.width(self.hip_width + 0.012, 0.068 * (0.4 + 0.6 * girth))
        waist = sketch.width(0.8 * self.hip_width * girth + 0.014, 0.056 * girth)
        chest = sketch.width(self.shoulder_width, 0.066 * (0.5 + 0.5 * girth))
        top, middle = (0.0, SHOULDER + 0.03, 0.0), (0.0, legs + 0.09, 0.0)
        swing = abs(self.swing)  # skirts and coats swing with the stride
        if clothes.legwear == "skirt":
            hem = (0.0, legs * (1.0 - clothes.legwear_length), 0.0)
            flare = sketch.width(self.hip_width + 0.035, 0.07 + 0.25 * swing * clothes.legwear_length)
            sketch.trunk(middle, hem, (waist, 0.5 * (hips + flare), flare), 0.02, clothes.lower)
        else:
            sketch.trunk(middle, (0.0, legs - 0.045, 0.0), (waist, hips, 0.8 * hips), 0.02, plain(clothes.lower[:3]))
        sketch.limb(top, (0.0, CHIN, 0.012), 0.034, 0.03, plain(darker(self.body.skin, 0.85)))
        hem = (0.0, legs * (1.0 - clothes.hem), 0.0)
        coat = clothes.hem > 0.2
        if coat:
            flare = sketch.width(self.hip_width + 0.03, 0.068 + 0.25 * swing * clothes.hem)
            sketch.trunk(top, hem, (0.92 * chest, 0.54 * (waist + hips), flare), 0.17, clothes.upper)
        else:
            sketch.trunk(top, hem, (0.9 * chest, 0.51 * (chest + waist), 1.04 * hips), 0.26, clothes.upper)
        if clothes.belt is not None:
            height = legs + 0.055 if coat else hem[1] + 0.008
            belt = 1.03 * waist
            ends = (0.0, height + 0.011, 0.0), (0.0, height - 0.011, 0.0)
            sketch.trunk(*ends, (belt, belt, belt), 0.0, plain(clothes.belt))
        self._collar()

    def _collar(self) -> None:
        sketch, clothes = self.sketch, self.clothes
        if clothes.scarf is not None:
            sketch.ball((0.0, 0.852, 0.012), 0.058, 0.028, plain(clothes.scarf))
            if self.view.cos > 0.2:
                sketch.limb((0.025, 0.845, 0.06), (0.03, 0.7, 0.07), 0.019, 0.017, plain(darker(clothes.scarf, 0.92)))
        elif clothes.hood:
            sketch.ball((0.0, 0.845, -0.03), 0.068, 0.034, plain(darker(clothes.upper[:3], 0.85)))

    def _straps(self) -> None:
        """Draw straps: a shoulder bag's across chest and back, a backpack's two over the chest only."""
        clothes, width = self.clothes, self.shoulder_width
        if clothes.bag == "shoulder":
            side, front = clothes.bag_side, math.copysign(0.07, self.view.cos)
            hip = (side * (self.hip_width + 0.015), self.body.legs + 0.03, 0.6 * front)
            draw_strap(self.sketch, clothes, (-side * 0.6 * width, SHOULDER + 0.01, 0.4 * front), hip)
        elif clothes.bag == "backpack" and self.view.cos > 0.15:
            for x in (-0.6 * width, 0.6 * width):
                draw_strap(self.sketch, clothes, (x, 0.83, 0.04), (x, 0.67, 0.065))

    def _arm(self, side: float, dim: float) -> None:
        sketch, clothes = self.sketch, self.clothes
        girth = 0.7 + 0.3 * self.body.girth
        spread = side * (0.012 + 0.022 * self.body.girth)
        upper, lower = -0.75 * side * self.swing, -0.75 * side * self.swing + 0.3
        shoulder = (side * (self.shoulder_width - 0.016), SHOULDER - 0.02, 0.0)
        elbow = (
            shoulder[0] + spread,
            shoulder[1] - UPPER_ARM * math.cos(upper),
            UPPER_ARM * math.sin(upper) - 0.01,
        )
        wrist = (
            elbow[0] + 0.2 * spread,
            elbow[1] - FOREARM * math.cos(lower),
            elbow[2] + FOREARM * math.sin(lower),
        )
        skin, sleeve = plain(darker(self.body.skin, dim)), _dim(clothes.sleeve_fabric, dim)
        arm = sleeve if clothes.sleeve == "long" else skin
        sketch.limb(wrist, (wrist[0], wrist[1] - 0.03, wrist[2] + 0.008), 0.02, 0.018, skin)
        sketch.limb(elbow, wrist, 0.03 * girth, 0.024, arm)
        sketch.limb(shoulder, elbow, 0.036 * girth, 0.031 * girth, arm)
        if clothes.sleeve == "short":
            sketch.limb(shoulder, _between(shoulder, elbow, 0.6), 0.038 * girth, 0.04 * girth, sleeve)
        if side == clothes.bag_side:
            if clothes.bag == "handbag":
                draw_bag(sketch, clothes, (wrist[0], wrist[1] - 0.09, wrist[2]), 0.05, dim)
            elif clothes.bag == "shoulder":
                draw_bag(sketch, clothes, (side * (self.hip_width + 0.045), self.body.legs - 0.01, 0.0), 0.055, dim)


def _leg_joints(body: Body, hip_width: float, side: float, swing: float, lift: float) -> tuple[Joint, Joint, Joint]:
    """Return the positions of hip, knee and ankle; the leg that swings forward bends its knee."""
    thigh = 0.5 * (body.legs - 0.04)
    angle = side * swing + 0.04
    shin = angle - 0.1 - 1.1 * body.stride * max(0.0, side * lift)
    hip = (side * 0.55 * hip_width, body.legs, 0.0)
    knee = (hip[0], hip[1] - thigh * math.cos(angle), thigh * math.sin(angle))
    return hip, knee, (0.9 * hip[0], knee[1] - thigh * math.cos(shin), knee[2] + thigh * math.sin(shin))


def _between(a: Joint, b: Joint, share: float) -> Joint:
    share = min(1.0, share)
    return (a[0] + share * (b[0] - a[0]), a[1] + share * (b[1] - a[1]), a[2] + share * (b[2] - a[2]))


def _dim(fabric: Fabric, factor: float) -> Fabric:
    """Return the fabric of a limb with its brightness scaled; openings and prints stay on the chest."""
    texture = SOLID if fabric.texture >= OPEN and fabric.duty > 0 else fabric.texture
    return Fabric(*darker(fabric[:3], factor), *darker(fabric[3:6], factor), texture, *fabric[7:])
