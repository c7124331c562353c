// The sizes of the blocks of rungs 5 to 7.
#pragma once

#include "register_tile.h"

namespace ladder {

// While a strip of b, sum_block x tile_cols numbers, is used by all tiles of a block of rows, it stays in the
// first-level cache: 256 x 16 x 4 bytes = 16 KB with AVX2, 48 KB with AVX-512. The block of a, row_block x sum_block
// numbers or 120 KB, is used by all strips and stays in the second level. A longer sum would push out the strip; a
// shorter one would load and store c more often.
constexpr long sum_block = 256, row_block = 120;
static_assert(row_block % tile_rows == 0, "a block holds whole tiles");

} // namespace ladder
