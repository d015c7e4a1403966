# An engineer who judges whether to depend on s2ct: is it deterministic, does it find damage, does it fail well?
. "$(dirname "$0")/walk.sh"

mkdir archives
cp $(sources) archives/

# The help of every command fits 80 columns.
python - << 'PYTHON' > commands
import click

from s2ct_convert.cli import cli


def walk(command, words):
    print(*words)
    for child in getattr(command, "commands", {}).values():
        walk(child, [*words, child.name])


walk(cli, ["s2ct"])
PYTHON
while read -r words; do
  COLUMNS=80 $words --help > help
  ! grep -nE '^.{81}' help || { echo "WALK: a line of $words --help is too long"; exit 1; }
  grep -q "^Usage: $words" help
done < commands
[ "$(wc -l < commands)" -gt 20 ]

# Sources are checked without a store. Both formats hold the same content.
expect 0 "4 sources ok, 0 damaged" s2ct verify sources archives/
expect 0 "4 converted" s2ct convert archives/ clouds.zarr
expect 0 "4 converted" s2ct convert archives/ clouds.h5
same "$(digest clouds.zarr)" "$(digest clouds.h5)"

# Twice the same command: nothing to do. Twice the same conversion: the same bytes, with a fixed time.
expect 0 "0 converted, 4 done before" s2ct convert archives/ clouds.zarr
for folder in one two; do
  mkdir $folder
  (cd $folder && SOURCE_DATE_EPOCH=0 s2ct convert ../archives/ clouds.zarr -q > /dev/null)
done
diff -r one/clouds.zarr two/clouds.zarr

# Back to TFRecords, and from these to a store again: the same digest.
expect 0 "train_31TCJ_4" s2ct export clouds.zarr back/ --to tfrecord
expect 0 "4 converted" s2ct convert back/ again.zarr
same "$(digest again.zarr)" "$(digest clouds.zarr)"

# One flipped byte of a store, and one of an archive, are found and placed.
python - << 'PYTHON'
from pathlib import Path

for name in ("one/clouds.zarr/train/31TCJ/image/c/0/0/0/0", "archives/val_34VFN_2.7z"):
    data = bytearray(Path(name).read_bytes())
    data[5000] ^= 1
    Path(name).write_bytes(data)
PYTHON
expect 4 "train/31TCJ" s2ct verify store one/clouds.zarr
expect 5 "val_34VFN_2.7z" s2ct verify sources archives/
expect 0 "no differences" s2ct verify store clouds.h5

# A full disk: exit code 6, nothing half-written is taken for whole, and the same command ends the work.
mkdir small
cp $(sources) archives/
if mount -t tmpfs -o size=1500k tmpfs small 2> /dev/null; then
  expect 6 "No space left" s2ct convert archives/ small/clouds.zarr
  mount -o remount,size=20m small
  expect 0 " converted" s2ct convert archives/ small/clouds.zarr
  same "$(digest small/clouds.zarr)" "$(digest clouds.zarr)"
  umount small
elif [ -w /dev/full ]; then
  code=0
  s2ct info clouds.zarr > /dev/full || code=$?
  same "$code" 6
fi

# Wrong usage, and a file that is no archive among the archives: the rest is a partial store.
expect 2 "No such option" s2ct convert --no-such-option
cp "$0" archives/test_50SMG_1.7z # not an archive
expect 3 "test_50SMG_1.7z" s2ct convert archives/ partial.zarr
expect 0 "partial" s2ct info partial.zarr
