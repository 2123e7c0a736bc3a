"""Spec of a drawn dataset: every parameter of the generator that can change an image."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

Share = Annotated[float, Field(ge=0, le=1)]


def _ordered(bounds: tuple[float, float]) -> tuple[float, float]:
    if bounds[0] > bounds[1]:
        raise ValueError(f"the lower bound {bounds[0]} is above the upper bound {bounds[1]}")
    return bounds


def _ordered_counts(bounds: tuple[int, int]) -> tuple[int, int]:
    _ordered(bounds)
    return bounds


Range = Annotated[
    tuple[Annotated[float, Field(ge=0)], Annotated[float, Field(ge=0)]],
    AfterValidator(_ordered),
]
Count = Annotated[
    tuple[Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)]],
    AfterValidator(_ordered_counts),
]


class _Spec(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class DrawnSplit(_Spec):
    """Number of identities in a split, and how often each is seen."""

    identities: int = Field(ge=1, le=4999, description="number of identities")
    cameras: Count = Field(description="cameras that see an identity: fewest and most")
    images: Count = Field(description="images per identity and camera: fewest and most")


class DrawnCamera(_Spec):
    """Variation between cameras: each camera samples its own values once."""

    white_balance: float = Field(ge=0, le=0.5, description="standard deviation of the log gain per channel")
    gamma: Range = Field(description="range of the exponent on pixel values in [0, 1]")
    contrast: Range = Field(description="range of the factor on the distance from mid-gray")
    brightness: Range = Field(description="range of the factor on all channels")
    saturation: Range = Field(description="range of the factor on the distance from the pixel's luminance")
    blur: Range = Field(description="range of the blur's standard deviation, in 1/64 of the image height")
    noise: Range = Field(description="range of the noise's standard deviation; 1 is white")
    quality: tuple[Annotated[int, Field(ge=1, le=95)], Annotated[int, Field(ge=1, le=95)]] = Field(
        description="range of the JPEG quality"
    )
    pitch: Range = Field(description="range of the angle at which the camera looks down, in degrees")

    @model_validator(mode="after")
    def _ordered_quality(self) -> Self:
        if self.quality[0] > self.quality[1]:
            raise ValueError(f"quality: the lower bound {self.quality[0]} is above the upper bound {self.quality[1]}")
        return self


class DrawnImage(_Spec):
    """Variation between images of one camera."""

    tint: tuple[Share, Share, Share] = Field(description="light of the domain: gains of red, green and blue")
    view_concentration: Share = Field(description="share of images along the camera's preferred direction, either way")
    illumination: float = Field(ge=0, le=0.5, description="standard deviation of the log gain")
    jitter: float = Field(ge=0, le=0.2, description="standard deviation of the box's position, in image heights")
    scale: Range = Field(description="range of the object's size relative to a well-fitted box")
    occlusion: Share = Field(description="share of images with something in front")
    companion: Share = Field(description="share of images with a second object at the side")


class DrawnSpec(_Spec):
    """Parameters of one drawn dataset.

    Raises pydantic.ValidationError for an unknown key, a wrong type or an impossible combination.
    """

    kind: Literal["person", "vehicle"] = Field(description="what is drawn, in the layout of Market-1501 or VeRi-776")
    domain: Literal["winter", "summer", "generic", "traffic"] = Field(description="palette, garments and scenes")
    seed: int = Field(ge=0, lt=2**32, description="seed of everything random; the same seed gives the same bytes")
    height: int = Field(ge=16, le=256, description="pixels")
    width: int = Field(ge=16, le=256, description="pixels")
    cameras: int = Field(ge=2, le=20, description="number of cameras; at most 9 for persons")
    train: DrawnSplit
    test: DrawnSplit
    queries: int = Field(ge=1, description="query images per test identity and camera")
    distractors: int = Field(ge=0, description="gallery images of people who are not in the query split")
    junk: int = Field(ge=0, description="badly cut gallery images")
    camera: DrawnCamera
    image: DrawnImage

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if (self.kind == "vehicle") != (self.domain == "traffic"):
            raise ValueError(f"domain {self.domain!r} does not draw kind {self.kind!r}")
        if self.kind == "person" and self.cameras > 9:
            raise ValueError(
                f"cameras: Market-1501's file names hold one digit, so at most 9 cameras, not {self.cameras}"
            )
        if self.kind == "vehicle" and (self.distractors or self.junk):
            raise ValueError("distractors and junk: VeRi-776's layout has neither, set both to 0")
        for name, split in (("train", self.train), ("test", self.test)):
            if split.cameras[1] > self.cameras:
                raise ValueError(f"{name}.cameras: {split.cameras[1]} per identity, but there are only {self.cameras}")
        if self.test.cameras[0] < 2:
            raise ValueError("test.cameras: at least 2 per identity, or a query has no match in another camera")
        if self.kind == "person" and self.test.images[0] <= self.queries:
            raise ValueError(
                f"queries: {self.queries} of at least {self.test.images[0]} images per identity and camera leave none "
                "for the gallery"
            )
        if self.kind == "vehicle" and self.test.images[0] < self.queries:
            raise ValueError(
                f"queries: {self.queries}, but an identity may have {self.test.images[0]} images per camera"
            )
        return self
