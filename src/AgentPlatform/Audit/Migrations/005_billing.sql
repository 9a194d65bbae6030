-- What members order, change and ask back. Payments, packs, counters and invoices are moved by the platform and keep their own history.
SELECT audit.watch('billing.buyers', hidden => '{gstin,address}');
SELECT audit.watch('billing.subscriptions', hidden => '{customer_id,method_id}');
SELECT audit.watch('billing.user_agent_add_ons');
SELECT audit.watch('billing.refunds');
