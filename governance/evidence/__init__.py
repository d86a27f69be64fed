"""Evidence packs: one ZIP for a framework, a tenant and a period, that an outsider verifies offline."""
