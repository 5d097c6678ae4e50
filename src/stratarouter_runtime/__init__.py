"""StrataRouter Runtime: typed microagent workflows, executed durably and reproducibly."""
