"""`vidfilter devices`: what cameras and screens this machine has."""

from __future__ import annotations

from dataclasses import asdict

import click

from ._output import Output, output_options


@click.command("devices")
@output_options()
@click.pass_obj
def command(console: Output) -> None:
    """List cameras, virtual cameras and screens."""
    from ..registry import module

    devices = module("stages", "_devices")
    found = {
        "cameras": [asdict(device) for device in devices.list_cameras()],
        "virtual cameras": [asdict(device) for device in devices.list_virtual_cameras()],
        "screens": [asdict(device) for device in devices.list_screens()],
    }
    lines = []
    for kind, entries in found.items():
        lines.append(f"{kind}:" if entries else f"{kind}: none found")
        lines += [f"  {_describe(entry)}" for entry in entries]
    console.result("\n".join(lines), {key.replace(" ", "_"): v for key, v in found.items()})


def _describe(entry: dict[str, object]) -> str:
    if "width" in entry:
        size = f"{entry['width']}x{entry['height']}"
        rate = f" {entry['refresh_hz']} Hz" if entry["refresh_hz"] else ""
        return f"{entry['name']} ({entry['driver']}) {size}{rate}"
    problem = f" - {entry['problem']}" if entry["problem"] else ""
    return f"{entry['index']}: {entry['name']} ({entry['path']}){problem}"
