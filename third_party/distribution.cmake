# Finds C++ libraries that come as Python distributions (pip wheels), by asking the building interpreter.

# Sets OUT to the absolute path of the file of DISTRIBUTION whose recorded name ends with SUFFIX.
# The file list is the only reliable answer: such files lie under the environment's prefix, not in site-packages.
function(axon_distribution_file OUT DISTRIBUTION SUFFIX)
  execute_process(
    COMMAND "${Python_EXECUTABLE}" -c "
import importlib.metadata, sys
distribution, suffix = sys.argv[1:]
files = importlib.metadata.files(distribution) or []
print(next(f.locate().resolve() for f in files if str(f).endswith(suffix)), end='')
" "${DISTRIBUTION}" "${SUFFIX}"
    OUTPUT_VARIABLE path
    RESULT_VARIABLE failed
    ERROR_QUIET)
  if(failed)
    message(FATAL_ERROR "${DISTRIBUTION} with a file ${SUFFIX} is not installed for ${Python_EXECUTABLE}; "
                        "install the build requirements listed in pyproject.toml")
  endif()
  set(${OUT} "${path}" PARENT_SCOPE)
endfunction()
