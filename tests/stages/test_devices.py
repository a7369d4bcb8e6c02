from __future__ import annotations

import os
import sys

import pytest

from vidfilter.pipeline import registry

devices = registry.module("stages", "_devices")
linux = pytest.mark.skipif(sys.platform != "linux", reason="the layout of Linux' /sys and /dev")


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """A machine whose devices are files: they do not answer, so /sys has to do."""

    class Machine:
        sysfs, dev, hardware = tmp_path / "sys", tmp_path / "dev", tmp_path / "devices"

        def add(self, number, name, index=0, folder="pci0/usb1", by_id=None):
            real = self.hardware / folder / f"video{number}"
            real.mkdir(parents=True)
            (real / "name").write_text(f"{name}\n")
            (real / "index").write_text(f"{index}\n")
            (self.sysfs / real.name).symlink_to(real)
            (self.dev / real.name).touch()
            if by_id:
                (self.dev / "v4l" / "by-id" / by_id).symlink_to(self.dev / real.name)

    made = Machine()
    made.sysfs.mkdir()
    (made.dev / "v4l" / "by-id").mkdir(parents=True)
    monkeypatch.setattr(devices, "SYSFS", made.sysfs)
    monkeypatch.setattr(devices, "DEV", made.dev)
    return made


@linux
def test_cameras_are_named_and_found_by_their_stable_path(machine):
    machine.add(10, "Second camera", folder="pci0/usb2")
    machine.add(2, "First camera", by_id="usb-Maker_First-video-index0")
    machine.add(
        3, "First camera", index=1, folder="pci0/usb1b", by_id="usb-Maker_First-video-index1"
    )
    first, second = devices.list_cameras()
    assert (first.index, first.name) == (2, "First camera")
    assert first.path.endswith("/v4l/by-id/usb-Maker_First-video-index0")
    assert (second.index, second.path) == (10, str(machine.dev / "video10"))


@linux
def test_a_camera_given_by_number_has_a_name_for_when_it_comes_back(machine):
    machine.add(2, "Camera", by_id="usb-Maker_Camera-video-index0")
    machine.add(3, "Nameless")
    stable = devices.stable_path(str(machine.dev / "video2"))
    assert stable == str(machine.dev / "v4l" / "by-id" / "usb-Maker_Camera-video-index0")
    assert devices.stable_path(stable) == stable
    assert devices.stable_path(str(machine.dev / "video3")) == str(machine.dev / "video3")
    assert devices.stable_path("0") == "0"


@linux
def test_virtual_cameras_are_no_cameras(machine):
    machine.add(0, "vidfilter", folder="virtual/video4linux")
    assert devices.list_cameras() == []
    (found,) = devices.list_virtual_cameras()
    assert (found.name, found.path) == ("vidfilter", str(machine.dev / "video0"))


@linux
def test_device_that_cannot_be_opened_says_why(machine):
    machine.add(0, "Camera")
    (machine.dev / "video0").unlink()
    (found,) = devices.list_cameras()
    assert found.problem == "no such file or directory"


@linux
def test_machine_without_cameras(machine):
    machine.sysfs.rmdir()
    assert devices.list_cameras() == []
    assert devices.list_virtual_cameras() == []


def test_this_machine_can_be_asked():
    assert all(camera.name for camera in devices.list_cameras())
    assert isinstance(devices.list_virtual_cameras(), list)


def test_screens_are_listed_with_their_size(screen):
    (found,) = devices.list_screens()
    assert (found.driver, found.width, found.height) == ("x11", 640, 480)


def test_no_screens(no_screen):
    assert devices.list_screens() == []


@linux
def test_holders_of_a_device_are_other_processes(tmp_path, monkeypatch):
    device = tmp_path / "video0"
    device.touch()
    for pid in (os.getpid(), 4242):
        process = tmp_path / "proc" / str(pid)
        (process / "fd").mkdir(parents=True)
        (process / "fd" / "7").symlink_to(device)
        (process / "comm").write_text("browser\n")
    monkeypatch.setattr(devices, "PROC", tmp_path / "proc")
    (holder,) = devices.holders(str(device))
    assert (holder.pid, holder.name) == (4242, "browser")
    assert devices.holders(str(tmp_path / "other")) == []
