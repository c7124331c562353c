// The CPU as a device: which instruction sets there are, and which one is in use.
#pragma once

#include <string>
#include <vector>

#include "kernels.h"

namespace chainrule::cpu {

/// Names of the instruction sets that were compiled in and that this machine runs, best first.
std::vector<std::string> isas();

/// The table of an instruction set; throws where it is unknown or this machine does not run it.
const Device& device(const std::string& isa);

/// The table in use: the best one, or CHAINRULE_ISA of the environment, or the last use_isa().
const Device& device();
void use_isa(const std::string& isa);

} // namespace chainrule::cpu
