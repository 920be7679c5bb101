"""What pyproject.toml cannot say: configs/ and assets/ are installed inside latentsync/."""

from setuptools import find_packages, setup

setup(
    packages=[
        *find_packages(include=["latentsync*", "GFPGAN*", "CodeFormer*"]),
        "latentsync.configs",
        "latentsync.assets",
    ],
    package_dir={"latentsync.configs": "configs", "latentsync.assets": "assets"},
)
