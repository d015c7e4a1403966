# A PhD student, on the first day with s2ct: what is it, what is in it, can I train on it?
. "$(dirname "$0")/walk.sh"

# What is this?
expect 0 "s2ct demo" s2ct

# Try it.
expect 0 "match the archives bit for bit" s2ct demo
expect 0 "complete" s2ct info s2ct-demo/sample.zarr

# Look at it.
if python -c "import matplotlib" 2> /dev/null; then
  expect 0 "sample_train_31TCJ_16.png" s2ct preview s2ct-demo/sample.zarr
  expect 0 "sample_summary.png" s2ct preview s2ct-demo/sample.zarr --summary
  [ -s sample_train_31TCJ_16.png ] && [ -s sample_summary.png ]
  expect 2 "--overwrite" s2ct preview s2ct-demo/sample.zarr # not replaced without being asked
fi

# The ten lines of the README. README.py is that block, which the test puts here.
expect 0 "(20, 4, 42, 42) uint16" python README.py

# xarray, as the README says.
if python -c "import xarray" 2> /dev/null; then
  cat > with_xarray.py << 'PYTHON'
import xarray as xr

unit = xr.open_zarr("s2ct-demo/sample.zarr", group="train/31TCJ")
print(dict(unit.sizes), unit["image"].dtype)
print(int((unit["label"] == 0).sum()), "clear")
PYTHON
  expect 0 "46 clear" python with_xarray.py
fi

# Does it train? A step of a tiny model on each batch; the loss is a number.
if python -c "import torch" 2> /dev/null; then
  cat > train.py << 'PYTHON'
import torch

from s2ct_convert.torch import ShuffledDataset

torch.manual_seed(0)
dataset = ShuffledDataset("s2ct-demo/sample.zarr", 4, split="train", seed=1, scale=1e-4)
layers = torch.nn.Conv2d(4, 8, 3), torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(8, 6)
model = torch.nn.Sequential(*layers)
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
for epoch in range(2):
    dataset.set_epoch(epoch)
    for batch in torch.utils.data.DataLoader(dataset, batch_size=None):
        labelled = batch["label"] >= 0
        loss = torch.nn.functional.cross_entropy(model(batch["image"])[labelled], batch["label"][labelled].long())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    print("epoch", epoch, "finite loss" if torch.isfinite(loss) else loss)
PYTHON
  expect 0 "epoch 1 finite loss" python train.py
fi

# Mistakes: a command, an option, a path, a folder instead of a store.
expect 2 "Did you mean 's2ct convert'?" s2ct covnert archives/ clouds.zarr
expect 2 "--codec" s2ct convert archives/ clouds.zarr --codek small
expect 2 "did you mean s2ct-demo/sample.zarr?" s2ct info s2ct-demo/sampel.zarr
expect 2 "such as s2ct-demo/sample.h5" s2ct verify store s2ct-demo
expect 2 "no such file or folder" s2ct convert archives/ clouds.zarr

# The real thing, on my own archives: Ctrl-C in the middle, then the same command again.
mkdir archives
cp $(sources) archives/
signalled INT "done, " s2ct convert archives/ clouds.zarr -j 1
same "$code" 130
expect 3 "has not finished" s2ct verify store clouds.zarr
expect 0 "3 converted, 1 done before" s2ct convert archives/ clouds.zarr -j 1
expect 0 "no differences" s2ct verify store clouds.zarr
same "$(digest clouds.zarr)" "$(digest s2ct-demo/sample.h5)"
