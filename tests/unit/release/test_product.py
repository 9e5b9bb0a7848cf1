"""What each product is made of exists."""

import pytest

from release.product import FOLDERS, PRODUCTS, Product
from release.wheelhouse import PACKAGING, locks_of


@pytest.mark.parametrize("product", PRODUCTS, ids=lambda product: product.name)
def test_a_product_is_made_of_what_is_there(product: Product) -> None:
    assert all(lock.is_file() for lock in locks_of(product))
    assert set(product.folders) == set(FOLDERS)
    assert all(any((PACKAGING / folder).iterdir()) for folder in product.folders.values())
    assert all((PACKAGING / file).is_file() for file in product.files.values())
    assert product.collection == ("ansible" in product.locks), "who runs playbooks brings the roles that they play"
    said = (PACKAGING / product.files["product.sh"]).read_text()
    assert f"\nprogram={product.name}\n" in said
    assert f"\nhome_of_units=/opt/{product.name}\n" in said
