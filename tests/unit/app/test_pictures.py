from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image, ImageCms

from app import pictures


def opened(derived):
    return Image.open(io.BytesIO(derived.data))


def colours(picture):
    """The colour of the left and of the right half, roughly."""
    width, height = picture.size
    spots = [picture.getpixel((width // 4, height // 2)), picture.getpixel((3 * width // 4, height // 2))]
    return ["".join(name for name, value in zip("rgb", spot, strict=True) if value > 128) for spot in spots]


def saved(image, form="PNG", **options):
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP"])
def test_identify_reads_size_and_format(picture, form):
    assert pictures.identify(picture(form=form)) == pictures.Header(300, 200, form)


@pytest.mark.parametrize("data", [b"", b"GIF89a", b"\xff\xd8\xff", b"<svg/>", b"%!PS-Adobe-3.0 EPSF-3.0\n"])
def test_identify_refuses_what_is_no_picture(data):
    with pytest.raises(pictures.UnsupportedPictureError, match=r"supported format \(JPEG, PNG"):
        pictures.identify(data)


def test_identify_refuses_a_format_that_pillow_knows_and_we_do_not_want(picture):
    with pytest.raises(pictures.UnsupportedPictureError):
        pictures.identify(picture(form="PPM"))


def test_a_bomb_is_refused_by_its_header():
    bomb = saved(Image.new("1", (20_000, 20_000)))
    assert len(bomb) < 100_000
    with pytest.raises(pictures.PictureTooLargeError, match="20000 x 20000 pixels = 400 megapixels, more than the 50"):
        pictures.identify(bomb)


def test_fifty_megapixels_are_the_most(monkeypatch, picture):
    monkeypatch.setattr(pictures, "MAX_PIXELS", 300 * 200)
    pictures.identify(picture(size=(300, 200)))
    with pytest.raises(pictures.PictureTooLargeError):
        pictures.identify(picture(size=(300, 201)))


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP"])
def test_validate_finds_a_picture_that_is_cut_off(form):
    noise = Image.effect_noise((200, 200), 90).convert("RGB")
    data = saved(noise, form)
    pictures.validate(data)
    with pytest.raises(pictures.PictureError, match=r"damaged or cut off|not a picture"):
        pictures.validate(data[: len(data) // 2])


def test_validate_finds_a_flipped_bit_in_a_png(picture):
    data = bytearray(picture(form="PNG"))
    data[len(data) // 2] ^= 1
    with pytest.raises(pictures.PictureError, match="the PNG picture is damaged"):
        pictures.validate(bytes(data))


@pytest.mark.parametrize(
    ("size", "longest", "expected"),
    [((300, 200), 64, (64, 43)), ((200, 300), 64, (43, 64)), ((300, 200), 1024, (300, 200)), ((5000, 3), 64, (64, 1))],
)
def test_thumbnail_fits_its_size_and_is_never_larger(picture, size, longest, expected):
    derived = pictures.thumbnail(picture(size=size), longest)
    assert opened(derived).size == (derived.width, derived.height) == expected
    assert opened(derived).format == "JPEG"


def test_compress_limits_the_longest_side(picture):
    derived = pictures.compress(picture(size=(3000, 1500)))
    assert (derived.width, derived.height) == (2048, 1024)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_derived_pictures_are_upright(orientation):
    """The stored pixels are turned the other way round, so that every orientation shows red above blue."""
    upright = Image.new("RGB", (200, 300), "blue")
    upright.paste("red", (0, 0, 200, 150))
    undo = pictures.UPRIGHT.get(orientation)
    swap = {
        Image.Transpose.ROTATE_90: Image.Transpose.ROTATE_270,
        Image.Transpose.ROTATE_270: Image.Transpose.ROTATE_90,
    }
    raw = upright.transpose(swap.get(undo, undo)) if undo is not None else upright
    exif = Image.Exif()
    exif[pictures.ORIENTATION] = orientation
    data = saved(raw, "JPEG", exif=exif)

    derived = opened(pictures.thumbnail(data, 150))

    assert derived.size == (100, 150)
    assert derived.getpixel((50, 20))[0] > 200 and derived.getpixel((50, 130))[2] > 200
    described = pictures.describe(data)
    assert (described["width"], described["height"]) == (200, 300)


def test_nothing_of_the_originals_metadata_is_left(picture, exif):
    data = picture(exif=exif, comment=b"taken at home", xmp=b"<x:xmpmeta>home</x:xmpmeta>", dpi=(300, 300))
    assert b"home" in data
    for derived in (pictures.compress(data), pictures.thumbnail(data, 64)):
        assert not opened(derived).getexif()
        assert b"home" not in derived.data and b"Example" not in derived.data and b"Exif" not in derived.data


def test_describe_keeps_camera_and_time_but_not_the_place(picture, exif):
    assert pictures.describe(picture(exif=exif)) == {
        "width": 200,
        "height": 300,
        "format": "JPEG",
        "camera": "Example One",
        "taken_at": "2026-01-02T03:04:05",
    }


@pytest.mark.parametrize("taken", ["", "0000:00:00 00:00:00", "yesterday\0", 7])
def test_describe_copes_with_odd_exif(picture, taken):
    exif = Image.Exif()
    exif[pictures.DATE_TIME], exif[pictures.ORIENTATION], exif[pictures.MODEL] = taken, 99, "One\0\0\x07"
    described = pictures.describe(picture(exif=exif))
    assert (described["taken_at"], described["camera"], described["width"]) == (None, "One", 300)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_broken_exif_costs_nothing_but_itself(picture):
    data = picture(exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
    assert pictures.describe(data)["camera"] is None
    assert pictures.thumbnail(data, 64).width == 64


@pytest.mark.parametrize(
    ("mode", "form"), [("CMYK", "JPEG"), ("P", "PNG"), ("P", "GIF"), ("RGBA", "PNG"), ("RGBA", "WEBP")]
)
def test_colours_survive(picture, mode, form):
    assert colours(opened(pictures.thumbnail(picture(mode=mode, form=form), 128)).convert("RGB")) == ["r", "b"]


@pytest.mark.parametrize("mode", ["1", "L", "LA", "I;16"])
def test_pictures_without_colours_work(picture, mode):
    data = saved(Image.effect_mandelbrot((100, 60), (-3, -2.5, 2, 2.5), 50).convert(mode))
    assert pictures.thumbnail(data, 50).width == 50


def test_what_is_transparent_becomes_white():
    image = Image.new("RGBA", (40, 40), (255, 0, 0, 0))
    image.paste((255, 0, 0, 255), (0, 0, 20, 40))
    for data in (saved(image), saved(image, "WEBP", lossless=True), saved(image.quantize(8)), saved(image, "GIF")):
        derived = opened(pictures.thumbnail(data, 40))
        assert colours(derived) == ["r", "rgb"]


def test_sixteen_bits_are_scaled_not_cut_off():
    ramp = np.tile(np.linspace(0, 65535, 100, dtype=np.uint16), (60, 1))
    for form in ("PNG", "TIFF"):
        derived = opened(pictures.thumbnail(saved(Image.fromarray(ramp), form), 100)).convert("L")
        assert [round(derived.getpixel((x, 30)) / 2.55) for x in (5, 50, 95)] == pytest.approx([5, 50, 95], abs=3)


def test_floating_point_pictures_are_scaled_to_their_range():
    ramp = np.tile(np.linspace(-1, 1, 100, dtype=np.float32), (60, 1))
    derived = opened(pictures.thumbnail(saved(Image.fromarray(ramp), "TIFF"), 100)).convert("L")
    assert derived.getpixel((2, 30)) < 20 and derived.getpixel((97, 30)) > 235


def test_a_colour_profile_is_applied_and_left_out(picture):
    """With the primaries of red and blue exchanged, the numbers of red mean blue."""
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exchanged = srgb.replace(b"rXYZ", b"?XYZ").replace(b"bXYZ", b"rXYZ").replace(b"?XYZ", b"bXYZ")
    for profile, expected in ((srgb, ["r", "b"]), (exchanged, ["b", "r"])):
        derived = opened(pictures.thumbnail(picture(icc_profile=profile), 128))
        assert "icc_profile" not in derived.info
        assert colours(derived) == expected


def test_other_colour_spaces_work():
    rgb, lab = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    red = ImageCms.profileToProfile(Image.new("RGB", (40, 40), (200, 30, 30)), rgb, lab, outputMode="LAB")
    assert opened(pictures.thumbnail(saved(red, "TIFF"), 40)).getpixel((20, 20)) == pytest.approx((200, 30, 30), abs=12)


def test_a_broken_colour_profile_is_ignored():
    data = saved(Image.new("RGB", (40, 40), "red"), "JPEG", icc_profile=b"nonsense" * 40)
    assert opened(pictures.thumbnail(data, 40)).getpixel((20, 20))[0] > 240


def test_the_first_frame_of_an_animation_is_taken():
    frames = [Image.new("RGB", (40, 40), colour) for colour in ("red", "blue")]
    for form in ("GIF", "WEBP", "PNG", "TIFF"):
        data = saved(frames[0], form, save_all=True, append_images=frames[1:])
        assert opened(pictures.thumbnail(data, 40)).getpixel((20, 20))[0] > 200
