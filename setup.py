"""What pyproject.toml cannot say: configs/ is installed as latentsync/configs."""

from setuptools import find_packages, setup

setup(
    packages=[
        *find_packages(include=["latentsync*", "GFPGAN*", "CodeFormer*"]),
        "latentsync.configs",
    ],
    package_dir={"latentsync.configs": "configs"},
)
