// Collecting the rows and the labels of a batch from the data set.
#include "cpu/operations.h"
#include "cpu/vector.h"

namespace chainrule::cpu::CHAINRULE_ISA {
namespace {

template <class T>
void gather_rows(const Team& team, const MatrixView<const T>& from, const std::int32_t* rows, const MatrixView<T>& to) {
  const Range share = team.share(to.rows);
  for (Index i = share.begin; i < share.end; ++i) {
    std::memcpy(to.row(i), from.row(rows[i]), static_cast<std::size_t>(to.cols) * sizeof(T));
  }
}

void gather_labels(const Team& team, const std::int32_t* from, const std::int32_t* rows, std::int32_t* to,
                   Index count) {
  const Range share = team.share(count, line_elements<std::int32_t>);
  for (Index i = share.begin; i < share.end; ++i) to[i] = from[rows[i]];
}

} // namespace

void list_gather(Device& device) {
  device.float32.gather_rows = gather_rows<float>;
  device.float64.gather_rows = gather_rows<double>;
  device.float32.gather_labels = gather_labels;
  device.float64.gather_labels = gather_labels;
}

} // namespace chainrule::cpu::CHAINRULE_ISA
