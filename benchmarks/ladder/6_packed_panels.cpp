// Rung 6, packed panels: before they are used, blocks of both factors are copied in the order in which tiles read them.
//
//   c[I, J] += packed(a[I, P]) packed(b[P, J])        the loops of rung 5, in packed_product.h; packed_panels.h copies
//
// Before: a tile walked down b in steps of a whole row. Each step is another page, whose address must be looked up; and
// where the step is a multiple of 4 KB, as with 1024 columns, all of these lines meet in the same few places of the
// cache and push each other out.
// Now: a tile reads both factors without a gap. The copies cost k n + m k moves for m k n multiply-adds. A panel is
// filled up with zeros, so that every tile is whole; what is left over costs a tile, and no slow loop.
#include "packed_product.h"

void multiply(const float* a, const float* b, float* c, long m, long k, long n) {
  ladder::multiply_packed(a, b, c, m, k, n, n);
}
