"""A pedestrian as layers: a jointed body in three dimensions, dressed, projected and painted from far to near."""

import math

from harness.drawn.layers import (
    OPEN,
    SOLID,
    Colour,
    Fabric,
    Layer,
    capsule,
    darker,
    ellipse,
    lathe,
    plain,
    quad,
    shadow,
)
from harness.drawn.people import Body, Clothes, Person
from harness.drawn.pose import Pose, Projection

SHOULDER, CHIN, CROWN = 0.815, 0.868, 0.925
UPPER_ARM, FOREARM = 0.165, 0.15
Joint = tuple[float, float, float]


def figure(person: Person, pose: Pose) -> list[Layer]:
    """All layers of one pedestrian, from the shadow on the ground to the bag in front."""
    return _Figure(person, pose).layers


class _Figure:
    """One drawing under way; lengths are shares of the stature until projected."""

    def __init__(self, person: Person, pose: Pose) -> None:
        self.body: Body = person.body
        self.clothes: Clothes = person.clothes
        self.view = Projection(pose)
        self.scale = pose.scale
        self.heading = pose.heading
        self.swing = person.body.stride * math.sin(pose.phase)
        self.lift = math.cos(pose.phase)
        self.layers: list[Layer] = []
        self.shoulder_width = 0.105 * self.body.shoulders * (0.6 + 0.4 * self.body.girth)
        self.hip_width = 0.078 * self.body.hips * (0.5 + 0.5 * self.body.girth)
        self.far = 1.0 if self.view.sin > 0 else -1.0  # which side (+1 left) is turned away
        self._draw()

    def _draw(self) -> None:
        legs = {side: self._leg_joints(side) for side in (-1.0, 1.0)}
        # The lower of the two feet carries the body.
        self.drop = min(joints[2][1] for joints in legs.values()) - 0.035
        self.layers.append(shadow(self.view.point(0.02, 0.0, 0.0), 0.17 * self.scale, 0.035 * self.scale, 0.45))
        behind = self.view.cos < 0
        for side in sorted(legs, key=lambda s: self.view.depth(legs[s][2][0], legs[s][2][2])):
            self._leg(legs[side], darken=side == self.far)
        if not behind:
            self._backpack()
            self._back_hair()
        self._arm(self.far, darken=True)
        self._torso()
        if self.clothes.bag == "shoulder":
            self._strap()
        self._arm(-self.far, darken=False)
        self._head(behind)
        if behind:
            self._back_hair()
            self._backpack()

    def _at(self, joint: Joint) -> tuple[float, float]:
        return self.view.point(joint[0], joint[1] - self.drop, joint[2])

    def _capsule(self, a: Joint, b: Joint, radius_a: float, radius_b: float, fabric: Fabric, turn: float = 0.0) -> None:
        self.layers.append(
            capsule(self._at(a), self._at(b), radius_a * self.scale, radius_b * self.scale, fabric, self.heading + turn)
        )

    def _leg_joints(self, side: float) -> tuple[Joint, Joint, Joint]:
        hip_height = self.body.legs
        thigh = 0.5 * (hip_height - 0.04)
        angle = side * self.swing + 0.04
        bend = 0.1 + 1.1 * self.body.stride * max(0.0, side * self.lift)
        hip = (side * 0.55 * self.hip_width, hip_height, 0.0)
        knee = (hip[0], hip[1] - thigh * math.cos(angle), thigh * math.sin(angle))
        shin = angle - bend
        ankle = (0.9 * hip[0], knee[1] - thigh * math.cos(shin), knee[2] + thigh * math.sin(shin))
        return hip, knee, ankle

    def _leg(self, joints: tuple[Joint, Joint, Joint], darken: bool) -> None:
        hip, knee, ankle = joints
        girth = 0.6 + 0.4 * self.body.girth
        clothes = self.clothes
        dim = 0.8 if darken else 1.0
        skin = plain(darker(self.body.skin, dim))
        lower = _dim(clothes.lower, dim)
        shoe = plain(darker(clothes.shoes, dim))
        self._capsule((ankle[0], ankle[1] - 0.012, ankle[2] - 0.01), _forward(ankle, 0.085, -0.022), 0.024, 0.019, shoe)
        if clothes.legwear == "trousers":
            self._capsule(knee, ankle, 0.047 * girth, 0.033, lower)
            self._capsule(hip, knee, 0.062 * girth, 0.047 * girth, lower)
            return
        self._capsule(knee, ankle, 0.037 * girth, 0.022, skin)
        self._capsule(hip, knee, 0.052 * girth, 0.038 * girth, skin)
        if clothes.legwear == "shorts":
            share = min(1.0, 2 * clothes.legwear_length)
            end = tuple(a + share * (b - a) for a, b in zip(hip, knee, strict=True))
            self._capsule(hip, (end[0], end[1], end[2]), 0.064 * girth, 0.053 * girth, lower)

    def _torso(self) -> None:
        clothes, view = self.clothes, self.view
        girth = self.body.girth
        hip_height = self.body.legs
        hips = view.half_width(self.hip_width + 0.012, 0.068 * (0.4 + 0.6 * girth))
        waist = view.half_width(0.8 * self.hip_width * girth + 0.014, 0.056 * girth)
        chest = view.half_width(self.shoulder_width, 0.066 * (0.5 + 0.5 * girth))
        top = self._at((0.0, SHOULDER + 0.03, 0.0))
        hip = self._at((0.0, hip_height - 0.045, 0.0))
        middle = self._at((0.0, hip_height + 0.09, 0.0))
        if clothes.legwear == "skirt":
            # The hem swings with the wider of the body and the stride.
            hem = self._at((0.0, hip_height * (1.0 - clothes.legwear_length), 0.0))
            flare = view.half_width(self.hip_width + 0.035, 0.07 + 0.5 * abs(self.swing) * clothes.legwear_length * 0.5)
            self._lathe(middle, hem, (waist, 0.5 * (hips + flare), flare), 0.02, clothes.lower)
        else:
            self._lathe(middle, hip, (waist, hips, 0.8 * hips), 0.02, plain(clothes.lower[:3]))
        neck = self._at((0.0, CHIN, 0.012))
        self.layers.append(
            capsule(top, neck, 0.034 * self.scale, 0.03 * self.scale, plain(darker(self.body.skin, 0.85)), shade=0.5)
        )
        if clothes.hem > 0.2:
            hem = self._at((0.0, hip_height * (1.0 - clothes.hem), 0.0))
            skirt = view.half_width(self.hip_width + 0.03, 0.068 + 0.25 * abs(self.swing) * clothes.hem)
            self._lathe(top, hem, (0.92 * chest, 0.5 * (waist + hips) * 1.08, skirt), 0.17, clothes.upper)
        else:
            hem = self._at((0.0, hip_height * (1.0 - clothes.hem), 0.0))
            widths = (0.9 * chest, 0.5 * (chest + waist) * 1.02, 1.04 * hips)
            self._lathe(top, hem, widths, 0.26, clothes.upper)
        if clothes.belt is not None:
            height = hip_height + 0.055 if clothes.hem > 0.2 else hip_height * (1.0 - clothes.hem) + 0.008
            a, b = self._at((0.0, height + 0.011, 0.0)), self._at((0.0, height - 0.011, 0.0))
            self._lathe(a, b, (1.03 * waist, 1.03 * waist, 1.03 * waist), 0.0, plain(clothes.belt))
        if clothes.scarf is not None:
            self.layers.append(
                ellipse(self._at((0.0, 0.852, 0.012)), 0.058 * self.scale, 0.028 * self.scale, plain(clothes.scarf))
            )
            if view.cos > 0.2:
                self._capsule((0.025, 0.845, 0.06), (0.03, 0.7, 0.07), 0.019, 0.017, plain(darker(clothes.scarf, 0.92)))
        elif clothes.hood:
            hood = plain(darker(clothes.upper[:3], 0.85))
            self.layers.append(ellipse(self._at((0.0, 0.845, -0.03)), 0.068 * self.scale, 0.034 * self.scale, hood))

    def _lathe(
        self,
        top: tuple[float, float],
        bottom: tuple[float, float],
        widths: tuple[float, float, float],
        roundness: float,
        fabric: Fabric,
    ) -> None:
        self.layers.append(lathe(top, bottom, widths, roundness, fabric, self.heading))

    def _arm(self, side: float, darken: bool) -> None:
        clothes = self.clothes
        dim = 0.78 if darken else 0.94
        angle = -0.75 * side * self.swing
        spread = 0.012 + 0.022 * self.body.girth
        shoulder = (side * (self.shoulder_width - 0.016), SHOULDER - 0.02, 0.0)
        elbow = (
            shoulder[0] + side * spread,
            shoulder[1] - UPPER_ARM * math.cos(angle),
            UPPER_ARM * math.sin(angle) - 0.01,
        )
        bend = angle + 0.3
        wrist = (
            elbow[0] + side * 0.2 * spread,
            elbow[1] - FOREARM * math.cos(bend),
            elbow[2] + FOREARM * math.sin(bend),
        )
        girth = 0.7 + 0.3 * self.body.girth
        skin = plain(darker(self.body.skin, dim))
        sleeve = _dim(clothes.sleeve_fabric, dim)
        long = clothes.sleeve == "long"
        self._capsule(wrist, (wrist[0], wrist[1] - 0.03, wrist[2] + 0.008), 0.02, 0.018, skin)
        self._capsule(elbow, wrist, 0.03 * girth, 0.024, sleeve if long else skin)
        self._capsule(shoulder, elbow, 0.036 * girth, 0.031 * girth, sleeve if long else skin)
        if clothes.sleeve == "short":
            cuff = tuple(a + 0.6 * (b - a) for a, b in zip(shoulder, elbow, strict=True))
            self._capsule(shoulder, (cuff[0], cuff[1], cuff[2]), 0.038 * girth, 0.04 * girth, sleeve)
        if clothes.bag == "handbag" and side == clothes.bag_side:
            self._bag((wrist[0], wrist[1] - 0.09, wrist[2]), 0.05, dim)
        if clothes.bag == "shoulder" and side == clothes.bag_side:
            self._bag((side * (self.hip_width + 0.045), self.body.legs - 0.01, 0.0), 0.055, dim)

    def _bag(self, centre: Joint, size: float, dim: float) -> None:
        x, y = self._at(centre)
        size *= self.clothes.bag_size * self.scale
        half = size * math.sqrt((0.45 * self.view.cos) ** 2 + self.view.sin**2)
        colour = darker(self.clothes.bag_colour, dim)
        corners = ((x - 0.85 * half, y - size), (x + 0.85 * half, y - size), (x + half, y + size), (x - half, y + size))
        self.layers.append(quad(corners, colour, shade=0.25))
        self.layers.append(quad(_band(x, y - 0.55 * size, 0.9 * half, 0.1 * size), darker(colour, 0.65)))

    def _strap(self) -> None:
        """A shoulder bag's strap: over the chest from the far shoulder, or over the back, to the hip."""
        side = self.clothes.bag_side
        front = 0.07 if self.view.cos > 0 else -0.07
        shoulder = (-side * 0.6 * self.shoulder_width, SHOULDER + 0.01, 0.4 * front)
        hip = (side * (self.hip_width + 0.015), self.body.legs + 0.03, 0.6 * front)
        self._capsule(shoulder, hip, 0.011, 0.011, plain(darker(self.clothes.bag_colour, 0.8)))

    def _backpack(self) -> None:
        clothes = self.clothes
        if clothes.bag != "backpack":
            return
        colour, size = clothes.bag_colour, clothes.bag_size
        half = self.view.half_width(0.085 * size, 0.05 * size)
        top = self._at((0.0, 0.8, -0.09))
        bottom = self._at((0.0, 0.8 - 0.23 * size, -0.1))
        self._lathe(top, bottom, (0.9 * half, half, 0.95 * half), 0.3, plain(colour))
        if self.view.cos < 0:
            pocket = self._at((0.0, 0.8 - 0.12 * size, -0.13)), self._at((0.0, 0.8 - 0.21 * size, -0.13))
            inner = 0.7 * self.view.half_width(0.085 * size, 0.02)
            self._lathe(*pocket, (inner, inner, inner), 0.25, plain(darker(colour, 0.72)))

    def _straps_in_front(self) -> None:
        for side in (-1.0, 1.0):
            x = side * 0.6 * self.shoulder_width
            self._capsule((x, 0.83, 0.04), (x, 0.67, 0.065), 0.012, 0.012, plain(darker(self.clothes.bag_colour, 0.8)))

    def _head(self, behind: bool) -> None:
        if self.clothes.bag == "backpack" and self.view.cos > 0.15:
            self._straps_in_front()
        size = self.body.head
        if behind:
            self._face(size)
            self._scalp(size)
        else:
            self._scalp(size)
            self._face(size)
        self._hat(size)

    def _scalp(self, size: float) -> None:
        style = self.body.hairstyle
        colour = self.body.skin if style == "bald" else self.body.hair
        wide, tall = {"afro": (0.082, 0.084), "bob": (0.066, 0.074)}.get(style, (0.056, 0.067))
        centre = self._at((0.0, CROWN + 0.008, -0.012))
        self.layers.append(ellipse(centre, wide * size * self.scale, tall * size * self.scale, plain(colour)))
        if style == "bun":
            bun = self._at((0.0, CROWN + 0.07 * size, -0.035))
            self.layers.append(ellipse(bun, 0.027 * self.scale, 0.025 * self.scale, plain(darker(colour, 0.9))))

    def _face(self, size: float) -> None:
        skin = self.body.skin
        view = self.view
        front = 0.02 if self.body.hairstyle != "bald" else 0.012
        centre = self._at((0.0, CROWN - 0.016, front))
        wide = view.half_width(0.046, 0.04) * size
        self.layers.append(ellipse(centre, wide, 0.058 * size * self.scale, plain(skin), shade=0.22))
        if view.cos < -0.3:
            return
        if self.body.beard:
            beard = self._at((0.0, CROWN - 0.05, front + 0.012))
            self.layers.append(
                ellipse(beard, 0.8 * wide, 0.026 * size * self.scale, plain(darker(self.body.hair, 1.1)))
            )
        dark = plain((0.12, 0.09, 0.08))
        for side in (-1.0, 1.0):
            if view.depth(side * 0.02, 0.045) > 0.012:
                eye = self._at((side * 0.019, CROWN - 0.004, 0.052))
                self.layers.append(ellipse(eye, 0.0075 * self.scale, 0.005 * self.scale, dark, shade=0.0))
        nose = self._at((0.0, CROWN - 0.02, 0.062))
        self.layers.append(ellipse(nose, 0.009 * self.scale, 0.012 * self.scale, plain(darker(skin, 0.9)), shade=0.0))
        if view.cos > 0.3 and not self.body.beard:
            mouth = self._at((0.0, CROWN - 0.044, 0.055))
            red = (0.75 * skin[0], 0.5 * skin[1], 0.5 * skin[2])
            self.layers.append(ellipse(mouth, 0.015 * view.cos * self.scale, 0.004 * self.scale, plain(red), shade=0.0))

    def _back_hair(self) -> None:
        style, hair = self.body.hairstyle, self.body.hair
        if style == "long":
            half = self.view.half_width(0.066, 0.03)
            top, bottom = self._at((0.0, CROWN + 0.02, -0.035)), self._at((0.0, 0.735, -0.07))
            self._lathe(top, bottom, (0.75 * half, half, 0.7 * half), 0.25, plain(hair))
        elif style == "tail":
            self._capsule((0.0, CROWN + 0.01, -0.06), (0.0, 0.77, -0.09), 0.022, 0.013, plain(hair))
        elif style == "bob":
            half = self.view.half_width(0.068, 0.05)
            top, bottom = self._at((0.0, CROWN + 0.02, -0.02)), self._at((0.0, 0.85, -0.025))
            self._lathe(top, bottom, (0.9 * half, half, half), 0.2, plain(hair))

    def _hat(self, size: float) -> None:
        kind = self.clothes.hat
        if kind == "none":
            return
        colour = self.clothes.hat_colour
        wide, scale = 0.061 * size * self.scale, self.scale
        top, rim = self._at((0.0, CROWN + 0.084 * size, -0.006)), self._at((0.0, CROWN + 0.018 * size, -0.004))
        self._lathe(top, rim, (0.8 * wide, wide, wide), 0.75, plain(colour))
        if kind == "beanie":
            band = self._at((0.0, CROWN + 0.036 * size, -0.004))
            self._lathe(band, rim, (1.05 * wide, 1.07 * wide, 1.05 * wide), 0.0, plain(darker(colour, 0.78)))
        elif kind == "brim":
            half = 1.75 * wide
            self.layers.append(ellipse(rim, half, 0.016 * scale, plain(darker(colour, 0.85))))
        elif self.view.cos > -0.4:
            peak = self._at((0.0, CROWN + 0.022 * size, 0.075))
            across = self.view.half_width(0.05, 0.034) * size
            self.layers.append(ellipse(peak, across, 0.013 * scale, plain(darker(colour, 0.75))))


def _dim(fabric: Fabric, factor: float) -> Fabric:
    first: Colour = darker(fabric[:3], factor)
    second: Colour = darker(fabric[3:6], factor)
    # An opening or a print is on the chest, not on every limb.
    texture = SOLID if fabric.texture >= OPEN and fabric.duty > 0 else fabric.texture
    return Fabric(*first, *second, texture, *fabric[7:])


def _forward(joint: Joint, length: float, height: float) -> Joint:
    return (joint[0], joint[1] + height, joint[2] + length)


def _band(x: float, y: float, half_width: float, half_height: float) -> tuple[tuple[float, float], ...]:
    return (
        (x - half_width, y - half_height),
        (x + half_width, y - half_height),
        (x + half_width, y + half_height),
        (x - half_width, y + half_height),
    )
