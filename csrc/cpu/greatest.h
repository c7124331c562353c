// The greatest element of a row: of scores, the class that they name. Equals are told apart by their columns, the first
// being the greatest. Without a branch on what the numbers are: nobody could predict it.
#pragma once

#include "cpu/vector.h"

namespace chainrule::cpu::CHAINRULE_ISA {
namespace {

/// m = max z over a row (K); NaN is passed over.
template <class T> double greatest_of_row(const T* z, Index classes) {
  Vec<T> most(-std::numeric_limits<double>::infinity());
  each_vector<T>({0, classes},
                 [&](Index j, auto part) { most = select(lanes_of<T>(part), max(load(z + j, part), most), most); });
  return static_cast<double>(max_of_lanes(most));
}

/// Columns are counted in whole numbers as wide as T, so that compilers make registers of both.
template <class T> using Column = typename Vec<T>::Bit;

/// Column of the greatest element, the first of several; -1 if there is a NaN.
template <class T> Index greatest(const T* row, Index cols) {
  const auto most = static_cast<T>(greatest_of_row(row, cols));
  const auto end = static_cast<Column<T>>(cols);
  Column<T> first = end, nans = 0;
  for (Column<T> j = 0; j < end; ++j) {
    const Column<T> column = row[j] == most ? j : end;
    first = column < first ? column : first;
    nans |= row[j] != row[j];
  }
  return nans == 0 ? Index{first} : Index{-1};
}

/// Whether fewer than k elements are greater than the one of a column; not where there is a NaN.
template <class T> bool among_greatest(const T* row, Index cols, Index column, Index k) {
  const T own = row[column];
  const auto end = static_cast<Column<T>>(cols), place = static_cast<Column<T>>(column);
  Column<T> greater = 0, nans = 0;
  for (Column<T> j = 0; j < end; ++j) {
    greater += (row[j] > own) | ((row[j] == own) & (j < place));
    nans |= row[j] != row[j];
  }
  return nans == 0 && greater < k;
}

} // namespace
} // namespace chainrule::cpu::CHAINRULE_ISA
