# find_package(chainrule): the target chainrule::headers, which has the folder of the headers. There is no library: the
# engine is reached through Python's capsules.
get_filename_component(chainrule_INCLUDE_DIR "${CMAKE_CURRENT_LIST_DIR}/../include" ABSOLUTE)
if(NOT TARGET chainrule::headers)
  add_library(chainrule::headers INTERFACE IMPORTED)
  set_target_properties(chainrule::headers PROPERTIES INTERFACE_INCLUDE_DIRECTORIES "${chainrule_INCLUDE_DIR}")
endif()
