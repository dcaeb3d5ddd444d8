"""The synthetic embryo is what it says: crowded but possible, moving, dividing, the same for the same seed."""

import numpy as np
import pytest
from scipy.ndimage import center_of_mass
from scipy.spatial import cKDTree

from anlage.axes import Box, Spacing
from anlage.errors import AnlageError
from anlage.synthetic import Look, Optics, SyntheticMovie, embryo, pair

SMALL = {"n_frames": 6, "shape_zyx": (16, 96, 96), "n_nuclei": 24}


@pytest.fixture(scope="module")
def movie() -> SyntheticMovie:
    return embryo(3, **SMALL)


def test_same_seed_same_movie_and_another_seed_another(movie):
    again, other = embryo(3, **SMALL), embryo(4, **SMALL)
    assert np.array_equal(movie.image.data, again.image.data)
    assert np.array_equal(movie.truth.positions, again.truth.positions)
    assert not np.array_equal(movie.image.data, other.image.data)


def test_image_is_what_a_camera_gives(movie):
    assert movie.image.shape == (6, 1, 16, 96, 96)
    assert movie.image.dtype == np.uint16
    assert movie.image.spacing == Spacing(2.0, 0.5, 0.5)
    assert movie.image.data.max() < 65535


def test_every_centre_lies_in_its_own_label(movie):
    t, z, y, x = np.rint(movie.truth.positions).astype(int).T
    painted = movie.labels.data[t, 0, z, y, x]
    assert (painted == movie.tracks).mean() > 0.97


def test_radius_is_that_of_the_ball_of_equal_volume(movie):
    first = movie.truth.frames == 0
    volumes = np.bincount(movie.labels.data[0].ravel(), minlength=25)[movie.tracks[first]]
    radii = (volumes * np.prod(movie.spacing.zyx) * 3 / (4 * np.pi)) ** (1 / 3)
    assert np.median(radii / movie.truth.radius_um[first]) == pytest.approx(1.0, abs=0.04)


def test_nuclei_touch_but_do_not_lie_in_each_other(movie):
    crowd = embryo(1, n_frames=1, shape_zyx=(16, 96, 96), n_nuclei=40)
    for frame in range(4):
        rows = movie.truth.frames == frame
        assert _nearest(movie, rows).min() > 0.7
    nearest = _nearest(crowd, crowd.truth.frames == 0)
    assert nearest.min() > 0.85
    assert np.median(nearest) < 1.0


def test_links_follow_small_steps_and_divisions_have_two_daughters(movie):
    truth = movie.truth
    row = {int(i): n for n, i in enumerate(truth.ids)}
    before, after = (np.array([row[int(i)] for i in column]) for column in truth.links.T)
    assert (truth.frames[after] - truth.frames[before] == 1).all()
    step_um = np.linalg.norm((truth.positions[after] - truth.positions[before])[:, 1:] * movie.spacing.um, axis=1)
    assert 0.05 < np.median(step_um) < 2.0
    assert step_um.max() < 8.0
    assert (np.isin(truth.ids[truth.frames > 0], truth.links[:, 1])).all()
    assert len(truth.divisions) >= 1
    assert np.unique(truth.links[:, 0], return_counts=True)[1].max() == 2


def test_a_dividing_nucleus_lights_up(movie):
    truth = movie.truth
    mother = int(np.flatnonzero(truth.ids == truth.divisions[0, 0])[0])
    t, label = int(truth.frames[mother]), movie.tracks[mother]
    calm, dividing = (np.percentile(movie.image.data[f][movie.labels.data[f] == label], 90) for f in (0, t))
    assert t > 0
    assert dividing > 1.2 * calm


def test_deeper_is_dimmer():
    movie = embryo(2, n_frames=1, shape_zyx=(24, 96, 96), n_nuclei=50, optics=Optics(dimming_um=30.0))
    inside = movie.labels.data[0, 0] > 0
    pixels = movie.image.data[0, 0].astype(float) - 100
    assert pixels[:8][inside[:8]].mean() > 2 * pixels[-8:][inside[-8:]].mean()


def test_fragments_are_in_the_image_but_not_in_the_truth():
    clean, dirty = (embryo(2, 1, (16, 96, 96), n_nuclei=10, optics=Optics(n_fragments=n)) for n in (0, 20))
    assert np.array_equal(clean.truth.positions, dirty.truth.positions)
    outside = clean.labels.data[0, 0] == 0
    assert (dirty.image.data[0, 0][outside] > 500).sum() > 5 * (clean.image.data[0, 0][outside] > 500).sum()


def test_flat_culture_and_second_channel():
    movie = embryo(0, 3, (1, 128, 128), spacing=Spacing(1, 0.5, 0.5), n_nuclei=20, optics=Optics(n_channels=2))
    assert movie.image.shape == (3, 2, 1, 128, 128)
    assert (movie.truth.positions[:, 1] == 0).all()
    both = movie.image.read(Box((0, 1), (0, 1), (0, 128), (0, 128)))[0, :, 0].astype(float)
    assert both[0].mean() > 1.1 * both[1].mean()


@pytest.mark.parametrize("axis", ["z", "y", "x"])
def test_pair_lies_as_far_apart_as_asked(axis):
    movie = pair(0.8, axis=axis)
    apart = np.diff(movie.truth.positions[:, 1:], axis=0)[0] * movie.spacing.um
    assert np.linalg.norm(apart) == pytest.approx(0.8 * 8.0)
    assert abs(apart["zyx".index(axis)]) == pytest.approx(6.4)
    centres = np.array(center_of_mass(movie.labels.data[0, 0] > 0, movie.labels.data[0, 0], [1, 2]))
    assert np.allclose(centres, movie.truth.positions[:, 1:], atol=0.5)


def test_too_many_nuclei_is_a_sentence():
    with pytest.raises(AnlageError, match=r"500 nuclei of 8 µm would fill .* and cannot be packed; ask for fewer"):
        embryo(0, 1, (8, 64, 64), n_nuclei=500)


def test_pair_along_no_axis_is_a_sentence():
    with pytest.raises(AnlageError, match="cannot be set apart along 't'"):
        pair(0.8, axis="t")


def _nearest(movie: SyntheticMovie, rows) -> np.ndarray:
    """Distance to the nearest neighbour over the sum of both (nominal) radii."""
    places = movie.truth.positions[rows, 1:] * movie.spacing.um
    radii = movie.truth.radius_um[rows]
    distance, index = cKDTree(places).query(places, 2)
    return distance[:, 1] / (radii + radii[index[:, 1]])


def test_a_variety_differs_in_what_matters_and_is_the_same_every_time():
    from anlage.synthetic.variety import variety

    movies = list(variety(3, seed=4, flat=True))
    sizes = [2 * float(np.median(movie.truth.radius_um)) for movie in movies]
    assert max(sizes) > 1.1 * min(sizes)
    assert len({movie.spacing for movie in movies}) == 3
    assert all(movie.image.is_flat and len(movie.truth) > 0 for movie in movies)
    again = next(variety(1, seed=4, flat=True))
    assert (again.image.read() == movies[0].image.read()).all()
    deep = next(variety(1, seed=4))
    assert deep.image.shape_tzyx[1] > 1


def test_haze_spreads_light_and_a_wider_spread_of_brightness_is_seen():
    clear = embryo(1, 1, (12, 72, 72), n_nuclei=8).image.read().astype(float)
    hazy = embryo(1, 1, (12, 72, 72), n_nuclei=8, optics=Optics(haze=0.5)).image.read().astype(float)
    assert hazy.std() < clear.std()
    even, uneven = (
        embryo(1, 1, (12, 72, 72), n_nuclei=8, optics=Optics(brightness_spread=spread)).image.read().max()
        for spread in (0, 0.8)
    )
    assert uneven > 1.3 * even


def test_nuclei_die_where_and_when_it_is_said():
    movie = embryo(7, 14, (14, 80, 80), n_nuclei=14, division_rate=0.0, death_rate=0.03)
    assert len(movie.deaths) >= 3
    truth = movie.truth
    pixels, um = movie.image.read()[:, 0].astype(float), movie.spacing.um
    grid = np.indices(pixels.shape[1:]).reshape(3, -1).T * um
    seen = 0
    for dying in movie.deaths.tolist():
        row = int(np.flatnonzero(truth.ids == dying)[0])
        own = np.flatnonzero(movie.tracks == movie.tracks[row])
        since = truth.frames[own] - truth.frames[row]
        assert since.max() <= 6  # then it is gone
        if not ((since == -1).any() and (since == 2).any()):
            continue
        seen += 1
        before = float(truth.radius_um[own[since == -1]][0])
        assert truth.radius_um[own[since >= 2]] == pytest.approx(0.55 * before, rel=0.05)

        def light(at: int, own: np.ndarray = own, since: np.ndarray = since) -> float:
            t, *zyx = truth.positions[own[since == at][0]]
            near = np.linalg.norm(grid - np.array(zyx) * um, axis=1) < 1.5
            return float(pixels[int(t)].reshape(-1)[near].mean())

        assert light(2) > 1.3 * light(-1)
    assert seen >= 2
    assert not len(embryo(7, 3, (8, 48, 48), n_nuclei=4).deaths)


def test_looks_differ_and_are_the_same_every_time_and_show_every_nucleus_that_counts():
    from anlage.synthetic.looks import looks

    movies = list(looks(3, seed=2, flat=True))
    again = next(looks(1, seed=2, flat=True))
    assert np.array_equal(again.image.data, movies[0].image.data)
    assert len({movie.spacing for movie in movies}) == 3
    (deep,) = looks(1, seed=3)
    assert deep.image.shape_tzyx[1] > 1
    for movie in (*movies, deep):
        assert len(movie.truth) == len(movie.tracks) > 0
        at = np.rint(movie.truth.positions).astype(int)
        assert (at >= 0).all()
        assert (at < movie.image.shape_tzyx).all()


def test_the_truth_of_a_cut_nucleus_is_the_middle_of_what_is_seen_and_what_is_outside_does_not_count():
    from anlage.synthetic.looks import looks

    movie = next(movie for movie in looks(20, seed=1, flat=True) if _touching(movie).sum() > 3)
    cut = _touching(movie)
    for (t, *at), track in zip(movie.truth.positions[cut], movie.tracks[cut], strict=True):
        labels = movie.labels.frame(int(t))[0]
        np.testing.assert_allclose(at, center_of_mass(labels == track), atol=1e-6)


def _touching(movie: SyntheticMovie) -> np.ndarray:
    """Which nuclei the image's rim cuts clearly."""
    radius = 0.9 * movie.truth.radius_um[:, None] / movie.spacing.um[1:]
    at = movie.truth.positions[:, 2:]
    return ((at - radius < -0.5) | (at + radius > np.array(movie.image.shape_tzyx[2:]) - 0.5)).any(axis=1)


@pytest.mark.parametrize("look", [{"clumps": 1.0}, {"hollow": 0.8}, {"dents": 0.12}, {"size_spread": 0.2}])
def test_a_look_changes_nuclei_and_nothing_else(look):
    """The embryo is as bright between its nuclei as before."""
    plain, other = (embryo(5, 1, (1, 96, 96), n_nuclei=12, look=Look(**about)) for about in ({}, look))
    between = (plain.labels.data == 0) & (other.labels.data == 0)
    pixels, changed = plain.image.data.astype(float), other.image.data.astype(float)
    assert abs(pixels[between].mean() - changed[between].mean()) < 0.05 * pixels[between].mean()
    assert np.abs(pixels - changed)[~between].mean() > 0.05 * pixels[~between].mean()


def test_a_hollow_nucleus_is_dark_inside():
    made = embryo(5, 1, (1, 96, 96), n_nuclei=6, look=Look(hollow=0.9), optics=Optics(brightness_spread=0.0))
    middles = np.rint(made.truth.positions).astype(int)
    inside = made.image.data[0, 0, 0][middles[:, 2], middles[:, 3]].mean()
    assert inside < made.image.data[made.labels.data > 0].mean()


def test_specks_uneven_light_and_a_smoothing_camera_are_seen():
    def pixels(**optics):
        return embryo(1, 1, (1, 96, 96), n_nuclei=6, optics=Optics(**optics)).image.data[0, 0, 0].astype(float)

    plain = pixels()
    assert (pixels(n_specks=60) > plain + 300).mean() > 0.02
    assert np.abs(np.diff(pixels(smoothing=1.0))).mean() < 0.7 * np.abs(np.diff(plain)).mean()
    assert np.abs(pixels(unevenness=0.6) - plain).mean() > np.abs(pixels(unevenness=0.05) - plain).mean()
