"""Reads virtual disks with readers that other people wrote.

usage: readers.py libvhdi|dissect (FILE OFFSET LENGTH)...

Writes for each triple the disk's size (8 bytes, little-endian) and LENGTH bytes from OFFSET to standard output.
"""

import os
import sys

PIECE = 1 << 20


class Libvhdi:
    def __init__(self, path):
        import pyvhdi

        self.file = pyvhdi.file()
        self.file.open(path)
        self.size = self.file.get_media_size()
        parent = self.file.get_parent_filename() if self.file.get_parent_identifier() else None
        if parent:
            # The name as the file has it: a Windows path, of which the folder does not matter here.
            name = parent.replace("\\", "/").rsplit("/", 1)[-1]
            self.parent = Libvhdi(os.path.join(os.path.dirname(path), name))
            self.file.set_parent(self.parent.file)

    def read(self, offset, length):
        return self.file.read_buffer_at_offset(length, offset)


class Dissect:
    def __init__(self, path):
        from pathlib import Path

        # It loses count where a read of a differencing VHDX begins within a byte of the sector bitmap.
        os.environ["DISSECT_STREAM_BUFFER_SIZE"] = str(8 * 4096)
        from dissect.hypervisor.disk.vhd import VHD
        from dissect.hypervisor.disk.vhdx import VHDX

        with open(path, "rb") as file:
            is_vhdx = file.read(8) == b"vhdxfile"
        self.disk = VHDX(Path(path)) if is_vhdx else VHD(open(path, "rb"))
        self.size = self.disk.size

    def read(self, offset, length):
        self.disk.seek(offset)
        return self.disk.read(length)


def main(reader, *words):
    out = open(sys.stdout.fileno(), "wb", buffering=8 * PIECE, closefd=False)
    for path, offset, length in zip(words[0::3], words[1::3], words[2::3]):
        disk = {"libvhdi": Libvhdi, "dissect": Dissect}[reader](path)
        offset, length = int(offset), int(length)
        out.write(disk.size.to_bytes(8, "little"))
        while length > 0:
            data = disk.read(offset, min(length, PIECE))
            if not data:
                sys.exit(f"{path}: no more data at {offset}, {length} bytes were expected")
            out.write(data)
            offset += len(data)
            length -= len(data)
    out.flush()


main(*sys.argv[1:])
