// The sign of a number: -1, 0 or 1; of NaN it is NaN. The slope of |x|.
#pragma once

namespace chainrule {

template <class V> constexpr V sign(V x) { return select(x > V(0), V(1), select(x < V(0), V(-1), x)); }

} // namespace chainrule
