SELECT kernel.let_erase('actions.action_execution_log', 'refuse_rewriting');
