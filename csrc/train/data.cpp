// The limit of what data may take on a device.
#include "train/data.h"

#include <atomic>
#include <limits>

namespace chainrule {

namespace {

std::atomic<Index> limit{std::numeric_limits<Index>::max()};

} // namespace

Index resident_limit() { return limit.load(); }

void set_resident_limit(Index bytes) {
  check(bytes >= 0, "a limit must be at least 0 bytes; got ", bytes);
  limit.store(bytes);
}

} // namespace chainrule
