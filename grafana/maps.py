"""The district map: markers over outlines that Grafana itself carries, no tile server.

The base layer is one transparent pixel for every tile (Grafana would else ask the Internet for
tiles, and a wall without Internet would stay blank); under the markers lie the country outlines
that every Grafana ships as ``public/maps/countries.geojson``.
"""

from collections.abc import Sequence

from grafana_foundation_sdk.builders import geomap
from grafana_foundation_sdk.builders.common import FrameGeometrySource, MapLayerOptions
from grafana_foundation_sdk.models import common
from grafana_foundation_sdk.models.dashboard import DataTransformerConfig
from grafana_foundation_sdk.models.geomap import TooltipMode

from grafana import palette, panels, queries
from grafana.panels import Column, Look, Query, Tile

#: A transparent 1x1 GIF: the answer to every tile, from inside the page.
NO_TILES = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"
OUTLINES = "public/maps/countries.geojson"
_LABELS = {
    "name": "Địa bàn",
    "province": "Mã tỉnh",
    "district": "Mã huyện",
    "lat": "Vĩ độ",
    "lon": "Kinh độ",
}


def _outlines() -> MapLayerOptions:
    return (
        MapLayerOptions()
        .type("geojson")
        .name("Đường viền")
        .config(
            {
                "src": OUTLINES,
                "rules": [],
                "style": {
                    "color": {"fixed": palette.GREY},
                    "opacity": 0.08,
                    "lineWidth": 1,
                    "size": {"fixed": 1, "min": 1, "max": 1},
                },
            }
        )
        .tooltip(False)
    )


def _markers(size: str, colour: str, low: int = 5, high: int = 24) -> MapLayerOptions:
    return (
        MapLayerOptions()
        .type("markers")
        .name("Huyện")
        .config(
            {
                "showLegend": True,
                "style": {
                    "color": {"field": colour, "fixed": palette.GREY},
                    "opacity": 0.75,
                    "size": {"field": size, "fixed": low, "min": low, "max": high},
                    "symbol": {"mode": "fixed", "fixed": "img/icons/marker/circle.svg"},
                    "text": {"field": _LABELS["name"], "fixed": "", "mode": "field"},
                    "textConfig": {"fontSize": 10, "offsetY": 16, "textAlign": "center"},
                },
            }
        )
        .location(
            FrameGeometrySource()
            .mode(common.FrameGeometrySourceMode.COORDS)
            .latitude(_LABELS["lat"])
            .longitude(_LABELS["lon"])
        )
        .tooltip(True)
    )


def district_map(
    title: str,
    description: str,
    size: Column,
    colour: Column,
    others: Sequence[Column] = (),
    *,
    width: int = 12,
    height: int = 16,
) -> Tile:
    """Districts in scope as markers: ``size`` sets the radius, ``colour`` the judgement.

    The expressions are of district level; their coordinates are joined here. A click on a marker
    opens the wall of that district.
    """
    columns = [size, colour, *others]
    panel = (
        geomap.Panel()
        .view(geomap.MapViewConfig().id("fit").all_layers(False).layer("Huyện").padding(12))
        .basemap(
            MapLayerOptions()
            .type("xyz")
            .name("Nền trống")
            .config({"url": NO_TILES, "attribution": ""})
        )
        .layers([_outlines(), _markers(size.title, colour.title)])
        .controls(geomap.ControlsOptions().show_zoom(True).mouse_wheel_zoom(True))
        .tooltip(geomap.TooltipOptions().mode(TooltipMode.DETAILS))
        .build()
    )
    values = [f"Value #{chr(ord('A') + n)}" for n in range(len(columns))]
    renamed = {**_LABELS, **{v: c.title for v, c in zip(values, columns, strict=True)}}
    panel.transformations = [
        DataTransformerConfig("merge", options={}),
        DataTransformerConfig(
            "convertFieldType",
            options={
                "fields": {},
                "conversions": [
                    {"targetField": label, "destinationType": "number"} for label in ("lat", "lon")
                ],
            },
        ),
        DataTransformerConfig(
            "organize",
            options={
                "excludeByName": {"Time": True},
                "indexByName": {},
                "renameByName": renamed,
            },
        ),
    ]
    tile = panels.finish(
        panel,
        title,
        description,
        [Query(queries.named(c.expr, "lat", "lon"), instant=True) for c in columns],
        Look(minimum=None),
        palette.by_threshold(),
        (width, height),
        as_table=True,
    )
    for column in columns:
        panels.override(
            panel,
            column.title,
            unit=column.unit,
            decimals=column.decimals,
            thresholds=(column.thresholds or palette.plain()).build(),
        )
    panels.override(
        panel,
        _LABELS["name"],
        links=[
            panels.link(
                "Mở trên tường điều hành · wall",
                panels.WALL_TERRITORY.format(field=_LABELS["district"]),
            )
        ],
    )
    return tile
